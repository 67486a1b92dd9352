/** Hot path. See docs/paths/predict.md. */
import { DomainError } from '@sibyl/kernel';
import { describe } from '@sibyl/protocol';
import { pointerTo, RequestFaults, type FeatureQuery, type JsonObject } from '@sibyl/prediction';

/** A predict request as the wire has it, read and checked; what it says about features is checked by the model's contract. */
export interface PredictEnvelope {
  readonly symbol: string | undefined;
  readonly query: FeatureQuery;
  readonly features: JsonObject;
  readonly inputs: JsonObject | undefined;
  readonly model: string | undefined;
  readonly version: string | undefined;
}

/** Longest text of a member. */
export const TEXT_MAX = 256;
/** Keys of one entity. */
const KEYS_MAX = 16;
const TIMESTAMP = /^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})$/;
export const NO_FEATURES: JsonObject = Object.freeze({});

const SINGLE_FIELDS: ReadonlySet<string> = new Set([
  'symbol',
  'entity',
  'timestamp',
  'features',
  'model',
  'model_version',
]);
const MODEL_FIELDS: ReadonlySet<string> = new Set([...SINGLE_FIELDS, 'inputs']);
const BATCH_FIELDS: ReadonlySet<string> = new Set(['requests', 'model', 'model_version']);
const INFER_FIELDS: ReadonlySet<string> = new Set(['model_id', 'model_version', 'inputs']);

/** Reads one request; `withInputs` where tensors may come in place of features. */
export function readEnvelope(body: unknown, pointer: string, withInputs: boolean): PredictEnvelope {
  const fields = objectAt(body, pointer);
  checkFields(fields, pointer, withInputs ? MODEL_FIELDS : SINGLE_FIELDS);
  const symbol = textAt(fields, 'symbol', pointer);
  const entity = entityAt(fields, pointer);
  refuseTwoSymbols(symbol, entity, pointer);
  const timestamp = timestampAt(fields, pointer);
  const inputs = fields['inputs'] === undefined ? undefined : objectAt(fields['inputs'], pointerTo(pointer, 'inputs'));
  const features =
    fields['features'] === undefined ? NO_FEATURES : objectAt(fields['features'], pointerTo(pointer, 'features'));
  if (inputs !== undefined && fields['features'] !== undefined) {
    throw new DomainError('invalid_parameter', "Send either 'features' or 'inputs'.", {
      faults: [{ pointer: pointerTo(pointer, 'inputs'), expected: "no 'features' beside 'inputs'" }],
    });
  }
  return {
    symbol,
    query: queryOf(symbol, entity, timestamp),
    features,
    inputs,
    model: textAt(fields, 'model', pointer),
    version: textAt(fields, 'model_version', pointer),
  };
}

const NO_QUERY: FeatureQuery = Object.freeze({});

/** Whose features are asked for. */
export function queryOf(symbol?: string, entity?: FeatureQuery['entity'], timestamp?: string): FeatureQuery {
  if (symbol === undefined && entity === undefined && timestamp === undefined) return NO_QUERY;
  return {
    ...(symbol === undefined ? {} : { symbol }),
    ...(entity === undefined ? {} : { entity }),
    ...(timestamp === undefined ? {} : { timestamp }),
  };
}

/** A batch: its items unread, so that each fails or succeeds alone, and what holds for all of them. */
export interface BatchEnvelope {
  readonly requests: readonly unknown[];
  readonly model: string | undefined;
  readonly version: string | undefined;
}

export function readBatchEnvelope(body: unknown, requestsMax: number): BatchEnvelope {
  const fields = objectAt(body, '');
  checkFields(fields, '', BATCH_FIELDS);
  return {
    requests: listAt(fields, 'requests', requestsMax),
    model: textAt(fields, 'model', ''),
    version: textAt(fields, 'model_version', ''),
  };
}

/** `POST /v1/infer`: rows of columns for one model. */
export interface InferEnvelope {
  readonly model: string;
  readonly version: string | undefined;
  readonly rows: readonly unknown[];
}

export function readInferEnvelope(body: unknown, rowsMax: number): InferEnvelope {
  const fields = objectAt(body, '');
  checkFields(fields, '', INFER_FIELDS);
  const model = textAt(fields, 'model_id', '');
  if (model === undefined) throw missing('/model_id', 'the name of a model');
  return { model, version: textAt(fields, 'model_version', ''), rows: listAt(fields, 'inputs', rowsMax) };
}

/** The model that a request means; throws where body and path name different ones. */
export function modelOf(inPath: string | undefined, inBody: string | undefined): string | undefined {
  if (inPath !== undefined && inBody !== undefined && inBody !== inPath) {
    throw new DomainError('invalid_parameter', 'The body names another model than the path.', {
      faults: [{ pointer: '/model', expected: 'the model of the path, or nothing' }],
    });
  }
  return inPath ?? inBody;
}

/** A JSON object at a pointer, or the error that says what came. */
export function objectAt(value: unknown, pointer: string): JsonObject {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as JsonObject;
  throw wrong('The request has a value of the wrong type.', pointer, 'an object', value);
}

function checkFields(fields: JsonObject, pointer: string, known: ReadonlySet<string>): void {
  const names = Object.keys(fields);
  if (names.every((name) => known.has(name))) return;
  const faults = new RequestFaults();
  faults.unknown(pointer, names, known);
  throw faults.error();
}

function listAt(fields: JsonObject, name: string, most: number): readonly unknown[] {
  const value = fields[name];
  const pointer = pointerTo('', name);
  if (value === undefined) throw missing(pointer, 'an array of requests');
  if (!Array.isArray(value)) throw wrong(`'${name}' must be an array.`, pointer, 'an array', value);
  if (value.length === 0) throw missing(pointer, 'at least one request');
  if (value.length > most) {
    throw new DomainError('batch_too_large', `'${name}' may have ${most} entries; this one has ${value.length}.`, {
      faults: [{ pointer, expected: `at most ${most} entries`, received: `${value.length} entries` }],
    });
  }
  return value;
}

function textAt(fields: JsonObject, name: string, pointer: string): string | undefined {
  const value = fields[name];
  if (value === undefined) return undefined;
  if (typeof value === 'string' && value.length > 0 && value.length <= TEXT_MAX) return value;
  throw wrong(
    `'${name}' must be a string of 1 to ${TEXT_MAX} characters.`,
    pointerTo(pointer, name),
    `a string of 1 to ${TEXT_MAX} characters`,
    value,
  );
}

/** An entity is its key, or several keys by name; the feature service knows which there are. */
function entityAt(fields: JsonObject, pointer: string): FeatureQuery['entity'] {
  const value = fields['entity'];
  if (value === undefined || typeof value === 'string') return textAt(fields, 'entity', pointer);
  const keys = objectAt(value, pointerTo(pointer, 'entity'));
  const values = Object.values(keys);
  if (values.length <= KEYS_MAX && values.every((key) => isKey(key))) return keys as Record<string, string | number>;
  throw wrong(
    "'entity' must be a string, or an object of strings and numbers.",
    pointerTo(pointer, 'entity'),
    'a string or keys by name',
    value,
  );
}

/** Nobody can know which of the two is meant. */
function refuseTwoSymbols(symbol: string | undefined, entity: FeatureQuery['entity'], pointer: string): void {
  if (symbol === undefined || typeof entity !== 'object' || !Object.hasOwn(entity, 'symbol')) return;
  if (String(entity['symbol']) === symbol) return;
  throw wrong(
    "'symbol' and 'entity' name different symbols.",
    pointerTo(pointerTo(pointer, 'entity'), 'symbol'),
    "what 'symbol' says, or nothing",
    entity['symbol'],
  );
}

function isKey(key: unknown): boolean {
  return typeof key === 'number' || (typeof key === 'string' && key.length <= TEXT_MAX);
}

function timestampAt(fields: JsonObject, pointer: string): string | undefined {
  const value = fields['timestamp'];
  if (value === undefined) return undefined;
  if (typeof value === 'string' && isTimestamp(value)) return value;
  throw wrong(
    "'timestamp' must be an RFC 3339 time.",
    pointerTo(pointer, 'timestamp'),
    'an RFC 3339 time, like 2024-01-15T10:30:00Z',
    value,
  );
}

/** Whether a text is an RFC 3339 time. */
export function isTimestamp(text: string): boolean {
  return TIMESTAMP.test(text) && isOnCalendar(text);
}

/** Date.parse turns 30 February into 1 or 2 March; the day of the month tells. */
function isOnCalendar(text: string): boolean {
  const day = new Date(`${text.slice(0, 10)}T00:00:00Z`).getUTCDate();
  return !Number.isNaN(Date.parse(text)) && day === Number(text.slice(8, 10));
}

function wrong(detail: string, pointer: string, expected: string, value: unknown): DomainError {
  return new DomainError('invalid_parameter', detail, { faults: [{ pointer, expected, received: describe(value) }] });
}

function missing(pointer: string, expected: string): DomainError {
  return new DomainError('input_missing', `'${pointer.slice(1)}' is missing or empty.`, {
    faults: [{ pointer, expected, received: 'nothing' }],
  });
}
