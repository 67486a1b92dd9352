type Schema = Record<string, any>;

/** Where a value departs from its schema in an OpenAPI document: types, required and undeclared members, enums. */
export function departures(value: unknown, schema: Schema | undefined, document: Schema, at = ''): string[] {
  if (schema === undefined) return [];
  if (typeof schema.$ref === 'string') {
    const path = schema.$ref.replace('#/', '').split('/');
    const target = path.reduce<Schema | undefined>((node, name) => node?.[name] as Schema | undefined, document);
    return target === undefined ? [`${at}: ${schema.$ref} leads nowhere`] : departures(value, target, document, at);
  }
  const choices = (schema.anyOf ?? schema.oneOf) as Schema[] | undefined;
  if (choices !== undefined) {
    const each = choices.map((choice) => departures(value, choice, document, at));
    return each.find((found) => found.length === 0) ?? each.flat();
  }
  const types = schema.type === undefined ? undefined : [schema.type].flat();
  if (types !== undefined && !types.some((type) => isOf(value, type))) return [`${at}: ${JSON.stringify(value)} is no ${types}`];
  if (schema.enum !== undefined && !schema.enum.includes(value)) return [`${at}: ${value} is none of ${schema.enum}`];
  if (Array.isArray(value)) return value.flatMap((item, i) => departures(item, schema.items, document, `${at}/${i}`));
  if (typeof value === 'object' && value !== null) return members(value, schema, document, at);
  return [];
}

function members(value: object, schema: Schema, document: Schema, at: string): string[] {
  const properties: Record<string, Schema> = schema.properties ?? {};
  const missing = ((schema.required ?? []) as string[]).filter((name) => !Object.hasOwn(value, name));
  const found = Object.entries(value).flatMap(([name, member]) => {
    const known = properties[name];
    if (known !== undefined) return departures(member, known, document, `${at}/${name}`);
    if (schema.additionalProperties === false) return [`${at}/${name} is not in the schema`];
    const more = typeof schema.additionalProperties === 'object' ? (schema.additionalProperties as Schema) : undefined;
    return departures(member, more, document, `${at}/${name}`);
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
