export interface Schema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | Schema;
}

export interface Content {
  readonly schema?: Schema;
  readonly example?: unknown;
  readonly examples?: Readonly<Record<string, { readonly value: unknown }>>;
}

interface Parameter {
  readonly name: string;
  readonly in?: string;
  readonly required?: boolean;
  readonly example?: string;
  readonly schema?: { readonly example?: string };
}

export interface Operation {
  readonly security: readonly unknown[];
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { readonly content: Readonly<Record<string, Content>> };
  readonly responses: Readonly<Record<string, { readonly content?: Readonly<Record<string, Content>> }>>;
}

/** The parts of an OpenAPI document that tests look at. */
export interface OpenApiDocument {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
}

const SCHEMAS = '#/components/schemas/';

/** Where a value departs from its schema in an OpenAPI document: types, required and undeclared members, enums. */
export function departures(value: unknown, schema: Schema | undefined, document: OpenApiDocument, at = ''): string[] {
  if (schema === undefined) return [];
  if (schema.$ref !== undefined) {
    const target = document.components.schemas[schema.$ref.replace(SCHEMAS, '')];
    return target === undefined ? [`${at}: ${schema.$ref} leads nowhere`] : departures(value, target, document, at);
  }
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices !== undefined) {
    const each = choices.map((choice) => departures(value, choice, document, at));
    return each.find((found) => found.length === 0) ?? each.flat();
  }
  return [...plain(value, schema, at), ...inner(value, schema, document, at)];
}

/** What is wrong with the value itself. */
function plain(value: unknown, schema: Schema, at: string): string[] {
  const types = schema.type === undefined ? [] : [schema.type].flat();
  const fits = types.length === 0 || types.some((type) => isOf(value, type));
  const isListed = schema.enum === undefined || schema.enum.includes(value);
  return fits && isListed
    ? []
    : [`${at}: ${JSON.stringify(value)} is no ${JSON.stringify(schema.enum ?? schema.type)}`];
}

/** What is wrong with its items or members. */
function inner(value: unknown, schema: Schema, document: OpenApiDocument, at: string): string[] {
  if (Array.isArray(value)) return value.flatMap((item, i) => departures(item, schema.items, document, `${at}/${i}`));
  if (typeof value !== 'object' || value === null) return [];
  const missing = (schema.required ?? []).filter((name) => !Object.hasOwn(value, name));
  const found = Object.entries(value).flatMap(([name, member]) => {
    const known = schema.properties?.[name];
    if (known !== undefined) return departures(member, known, document, `${at}/${name}`);
    const others = schema.additionalProperties;
    if (others === false) return [`${at}/${name} is not in the schema`];
    return departures(member, typeof others === 'object' ? others : undefined, document, `${at}/${name}`);
  });
  return [...missing.map((name) => `${at}/${name} is missing`), ...found];
}

function isOf(value: unknown, type: string): boolean {
  switch (type) {
    case 'null':
      return value === null;
    case 'array':
      return Array.isArray(value);
    case 'object':
      return typeof value === 'object' && value !== null && !Array.isArray(value);
    case 'integer':
      return Number.isInteger(value);
    default:
      return typeof value === type;
  }
}
