import type { OpenAPIObject } from '@nestjs/swagger';
import { SET_EXAMPLE, VIEW_EXAMPLE } from '../features/definition-examples';
import type { Schemas } from './schema';

/** Paths and schemas of routes that are served outside of controllers. */
export interface DocumentPart {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Record<string, unknown>>>>>;
  readonly schemas: Schemas;
}

type Node = Record<string, unknown>;

/** Values that the demo answers to, so that examples work as pasted. */
const PARAMETER_EXAMPLES: Readonly<Record<string, string>> = {
  name: 'momentum',
  version: '1.3.0',
  sha256: 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  alias: 'production',
};

/** Names of other things than models: those that the examples of their routes publish. */
const NAME_EXAMPLES: Readonly<Record<string, string>> = {
  '/v1/features/views/{name}': VIEW_EXAMPLE.name,
  '/v1/features/sets/{name}': SET_EXAMPLE.name,
};

/** Makes a document of OpenAPI 3.1 of what @nestjs/swagger writes: unique operation ids, examples, `null` as a type. */
export function finishDocument(document: OpenAPIObject, extra: DocumentPart): OpenAPIObject {
  const paths = { ...document.paths, ...extra.paths } as unknown as Record<string, Record<string, Node>>;
  for (const [path, methods] of Object.entries(paths)) {
    for (const [method, operation] of Object.entries(methods)) finishOperation(path, method, operation);
  }
  const components = { ...document.components, schemas: { ...closed(document.components?.schemas), ...extra.schemas } };
  const sorted = Object.fromEntries(Object.entries(paths).sort(([a], [b]) => (a < b ? -1 : 1)));
  return modernize({ ...document, paths: sorted, components }) as OpenAPIObject;
}

/** Bodies refuse what they do not know. */
function closed(bodies: object = {}): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(bodies).map(([name, schema]) => [name, { ...(schema as Node), additionalProperties: false }]),
  );
}

function finishOperation(path: string, method: string, operation: Node): void {
  operation['operationId'] = `${method}${path.replace(/[^A-Za-z0-9]+/g, '_')}`.replace(/_$/, '');
  const example = operation['x-request-example'];
  delete operation['x-request-example'];
  const content = (operation['requestBody'] as { content?: Record<string, Node> } | undefined)?.content;
  if (example !== undefined && content?.['application/json'] !== undefined)
    content['application/json']['example'] = example;
  const line = operation['x-line'];
  delete operation['x-line'];
  if (line !== undefined && content?.['application/x-ndjson'] !== undefined)
    content['application/x-ndjson'] = { schema: line };
  operation['parameters'] = [
    ...pathParameters(path, operation),
    ...parametersOf(operation).filter((parameter) => parameter['in'] !== 'path'),
  ];
}

function parametersOf(operation: Node): Node[] {
  return (operation['parameters'] ?? []) as Node[];
}

/** One for each name in the path, whether or not a method of a controller asks for it. */
function pathParameters(path: string, operation: Node): Node[] {
  return Array.from(path.matchAll(/\{(\w+)\}/g), ([, name = '']) => {
    const declared = parametersOf(operation).find(
      (parameter) => parameter['in'] === 'path' && parameter['name'] === name,
    );
    const example = (name === 'name' ? NAME_EXAMPLES[path] : undefined) ?? PARAMETER_EXAMPLES[name];
    return {
      name,
      in: 'path',
      required: true,
      schema: { type: 'string' },
      ...declared,
      ...(example === undefined ? {} : { example }),
    };
  });
}

/** `nullable` of OpenAPI 3.0 became a type of its own, and a single `example` in a schema became `examples`. */
function modernize(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(modernize);
  if (typeof node !== 'object' || node === null) return node;
  const { nullable, ...members } = node as Node;
  const result = Object.fromEntries(Object.entries(members).map(([name, member]) => [name, modernize(member)]));
  if (nullable !== true) return result;
  if (typeof result['type'] === 'string') return { ...result, type: [result['type'], 'null'] };
  const { description, ...schema } = result;
  return { ...(description === undefined ? {} : { description }), anyOf: [schema, { type: 'null' }] };
}
