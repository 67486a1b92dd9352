/** A JSON Schema of OpenAPI 3.1 (draft 2020-12). */
export type Schema = Readonly<Record<string, unknown>>;
export type Schemas = Readonly<Record<string, Schema>>;

/** An object whose members are all there, except those whose name ends with `?`. */
export function object(members: Readonly<Record<string, Schema>>, more: Schema = {}): Schema {
  const entries = Object.entries(members);
  const required = entries.map(([name]) => name).filter((name) => !name.endsWith('?'));
  const properties = Object.fromEntries(entries.map(([name, schema]) => [name.replace(/\?$/, ''), schema]));
  return { type: 'object', properties, ...(required.length === 0 ? {} : { required }), ...more };
}

export function text(description?: string, more: Schema = {}): Schema {
  return { type: 'string', ...(description === undefined ? {} : { description }), ...more };
}

export function number(description?: string): Schema {
  return { type: 'number', ...(description === undefined ? {} : { description }) };
}

export function whole(description?: string): Schema {
  return { type: 'integer', ...(description === undefined ? {} : { description }) };
}

export function truth(description?: string): Schema {
  return { type: 'boolean', ...(description === undefined ? {} : { description }) };
}

export function listOf(items: Schema): Schema {
  return { type: 'array', items };
}

/** The same schema, or null. */
export function orNull(schema: Schema): Schema {
  return typeof schema['type'] === 'string'
    ? { ...schema, type: [schema['type'], 'null'] }
    : { oneOf: [schema, { type: 'null' }] };
}

export function ref(name: string): Schema {
  return { $ref: `#/components/schemas/${name}` };
}

export const INSTANT: Schema = text('RFC 3339 in UTC', { format: 'date-time' });
export const ID: Schema = text('UUIDv7', { format: 'uuid' });
/** Whatever the other side put there. */
export const ANYTHING: Schema = { type: 'object', additionalProperties: true };
