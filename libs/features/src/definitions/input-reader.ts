import { nearestWords } from '@sibyl/kernel';
import type { StreamDefinition } from './feature-view';
import { isObject, type ObjectReader } from './object-reader';

/** The stream of an operator, and the fields of it that the operator reads, in its own order. */
export interface OperatorInputs {
  readonly stream: string;
  readonly inputs: readonly string[];
}

/**
 * `input: close`, `input: candles_1m.close`, `input: tx` (of operators without fields), `inputs: [high, low, close]` or
 * `inputs: {high: h, low: l, close: c}`; left out where the fields are called as the operator calls them. `from` is `input`. The
 * stream need not be named where only one has the fields.
 */
export function readInputs(
  reader: ObjectReader,
  roles: readonly string[],
  streams: readonly StreamDefinition[],
): OperatorInputs | undefined {
  const named = reader.name('stream');
  const [member = 'input', second] = ['input', 'from', 'inputs'].filter((name) => reader.has(name));
  if (second !== undefined) return reader.fault(second, `not both '${member}' and '${second}'`);
  const paths = readPaths(reader, member, roles);
  if (!paths) return undefined;
  if (named !== undefined && !streams.some(({ name }) => name === named))
    return noStream(reader, 'stream', named, streams);
  if (roles.length === 0) return ofStream(reader, member, named ?? paths[0], streams);
  const split = paths.map((path) => path.split('.'));
  if (split.some(({ length }) => length > 2)) return reader.fault(member, 'a field, or stream.field');
  const fields = split.map((parts) => parts.at(-1) ?? '');
  const own = [...new Set([...(named === undefined ? [] : [named]), ...split.flatMap((parts) => parts.slice(0, -1))])];
  if (own.length > 1) return reader.fault(member, 'fields of one stream');
  return ofFields(reader, member, fields, own[0], streams);
}

function readPaths(reader: ObjectReader, member: string, roles: readonly string[]): readonly string[] | undefined {
  const value = reader.value(member);
  if (value === undefined) {
    if (roles.length !== 1 || roles[0] !== 'input') return roles;
    return reader.fault(member, 'the field that the operator reads');
  }
  const paths =
    typeof value === 'string'
      ? [value]
      : Array.isArray(value)
        ? (value as unknown[])
        : isObject(value) && Object.keys(value).every((name) => roles.includes(name))
          ? roles.map((role) => value[role])
          : [];
  const expected = roles.length === 0 ? 1 : roles.length;
  if (paths.length === expected && paths.every((path) => typeof path === 'string' && path.length <= 128))
    return paths as string[];
  return reader.fault(
    member,
    roles.length < 2 ? 'one field' : `the fields ${roles.join(', ')}, in this order or by these names`,
  );
}

/** Of an operator that reads no fields: the stream alone. */
function ofStream(
  reader: ObjectReader,
  member: string,
  name: string | undefined,
  streams: readonly StreamDefinition[],
): OperatorInputs | undefined {
  const stream = name ?? (streams.length === 1 ? streams[0]?.name : undefined);
  if (stream === undefined) return reader.fault(member, `one of the streams ${names(streams)}`);
  return streams.some((one) => one.name === stream)
    ? { stream, inputs: [] }
    : noStream(reader, member, stream, streams);
}

function ofFields(
  reader: ObjectReader,
  member: string,
  fields: readonly string[],
  named: string | undefined,
  streams: readonly StreamDefinition[],
): OperatorInputs | undefined {
  if (named !== undefined && !streams.some(({ name }) => name === named))
    return noStream(reader, member, named, streams);
  const among = named === undefined ? streams : streams.filter(({ name }) => name === named);
  const having = among.filter((stream) => fields.every((name) => stream.fields.some((field) => field.name === name)));
  const [only, more] = having;
  if (only && !more) return { stream: only.name, inputs: fields };
  if (only) return reader.fault(member, 'stream.field', `several streams have it: ${names(having)}`);
  const known = among.flatMap((stream) => stream.fields.map(({ name }) => name));
  const unknown = fields.find((field) => !known.includes(field)) ?? fields.join();
  const near = nearestWords(unknown, known)[0];
  const hint = near === undefined ? `known are ${known.slice(0, 32).join(', ')}` : `did you mean '${near}'?`;
  return reader.fault(member, `a field of ${named ?? 'a stream'}; '${unknown}' is none`, hint);
}

function noStream(reader: ObjectReader, member: string, name: string, streams: readonly StreamDefinition[]): undefined {
  const near = nearestWords(
    name,
    streams.map((stream) => stream.name),
  )[0];
  return reader.fault(member, `one of the streams ${names(streams)}`, near && `did you mean '${near}'?`);
}

function names(streams: readonly StreamDefinition[]): string {
  return streams.map(({ name }) => name).join(', ') || '(there are none)';
}
