import { listOf, object, text, whole, type Schemas } from '../docs/schema';

export const META_SCHEMAS: Schemas = {
  Index: object({ name: text(), docs: text(), reference: text(), openapi: text(), health: text(), ready: text() }),
  OpenApiDocument: { type: 'object', description: 'OpenAPI 3.1', additionalProperties: true },
  Info: object({ name: text(), version: text(), node: text(), protocols: listOf(text()), uptime_seconds: whole() }),
};
