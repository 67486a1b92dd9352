import { DomainError } from '@sibyl/kernel';
import { requestFault } from '../request-fault';

export type Columns = Readonly<Record<string, readonly unknown[]>>;

/** What a client of Feast sends for values. */
export interface FeastOnline {
  readonly entities: Columns;
  /** Exactly one of the two. */
  readonly features: readonly string[] | undefined;
  readonly set: string | undefined;
  readonly fullNames: boolean;
  /** Length of every column. */
  readonly rows: number;
}

/** What a client of Feast sends for a push: rows of a stream in columns. */
export interface FeastPush {
  readonly stream: string;
  readonly df: Columns;
  readonly rows: number;
}

type Body = Readonly<Record<string, unknown>>;

/** Members that we do not know are passed over, as Feast's server does. */
export function readFeastOnline(body: unknown): FeastOnline {
  const { entities, features, feature_service: set, full_feature_names: full, ...more } = objectOf(body);
  if (more['include_feature_view_version_metadata'] === true)
    throw refused(
      '/include_feature_view_version_metadata',
      'false: versions of views are hashes and not numbers',
      true,
    );
  const columns = columnsOf(entities, '/entities');
  const hasFeatures = Array.isArray(features) && features.length > 0;
  if (hasFeatures && !features.every((one) => typeof one === 'string'))
    throw refused('/features', 'a list of view:feature', features);
  if (hasFeatures === (typeof set === 'string'))
    throw refused('/features', 'a list of view:feature, or else feature_service: the name of a set', features);
  return {
    entities: columns.entities,
    rows: columns.rows,
    features: hasFeatures ? (features as readonly string[]) : undefined,
    set: hasFeatures ? undefined : (set as string),
    fullNames: full === true,
  };
}

export function readFeastPush(body: unknown): FeastPush {
  const { push_source_name: stream, df, to = 'online', transform_on_write: transforms = true } = objectOf(body);
  if (typeof stream !== 'string') throw refused('/push_source_name', 'the name of a stream', stream);
  if (to !== 'online' && to !== 'online_and_offline')
    throw refused('/to', 'online or online_and_offline, which are the same here: one log serves both', to);
  if (transforms !== true)
    throw refused('/transform_on_write', 'true: what is pushed are events, and not features', transforms);
  const { entities, rows } = columnsOf(df, '/df');
  return { stream, df: entities, rows };
}

function columnsOf(given: unknown, pointer: string): { readonly entities: Columns; readonly rows: number } {
  if (!isRecord(given)) throw refused(pointer, 'columns: lists of the same length by their names', given);
  const columns = Object.values(given);
  const [first] = columns;
  const rows = Array.isArray(first) ? first.length : 0;
  if (rows === 0 || !columns.every((column) => Array.isArray(column) && column.length === rows))
    throw refused(pointer, 'columns: lists of the same length, of at least one row', given);
  return { entities: given as Columns, rows };
}

function objectOf(body: unknown): Body {
  if (isRecord(body)) return body;
  throw refused('', 'an object', body);
}

function isRecord(given: unknown): given is Record<string, unknown> {
  return typeof given === 'object' && given !== null && !Array.isArray(given);
}

export function refused(pointer: string, expected: string, given: unknown): DomainError {
  return new DomainError('invalid_parameter', `Wrong or missing: ${pointer.slice(1) || 'the body'}.`, {
    faults: [requestFault(pointer, expected, given)],
  });
}
