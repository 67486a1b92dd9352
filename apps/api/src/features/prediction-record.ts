import type { RecordedPrediction } from '@sibyl/audit';
import type { PredictionRecord, RecordedFeatures, RecordedStream } from '@sibyl/features';
import { DomainError } from '@sibyl/kernel';

type Members = Readonly<Record<string, unknown>>;

/** Request, answer and features of a prediction as they were recorded; nothing where they were not kept, or erased. */
interface Payload {
  readonly request: Members;
  readonly answer: Members;
  /** By row; null where no feature set was asked. */
  readonly features: readonly unknown[];
}

/** What one row of a recorded prediction was made from. Throws invalid_parameter where it has no such row. */
export function toPredictionRecord(id: string, { event, payload }: RecordedPrediction, row: number): PredictionRecord {
  const parsed = payloadOf(payload);
  const { request, answer, features } = parsed;
  const rows = rowsOf(answer);
  if (row >= rows)
    throw new DomainError('invalid_parameter', `The prediction has ${rows === 1 ? 'one row' : `${rows} rows`}.`, {
      faults: [{ pointer: '/row', expected: `a whole number from 0 to ${rows - 1}`, received: String(row) }],
    });
  const item = { ...answer, ...objectOf(listOf(answer['predictions'])[row]) };
  const { name, version } = objectOf(item['model_info']);
  const { model } = event;
  const answered = typeof name === 'string' && typeof version === 'string' ? { name, version } : undefined;
  // An item of a batch may have been answered by another version than the one that the event names.
  const isOther = answered !== undefined && (answered.name !== model?.name || answered.version !== model.version);
  const read = featuresOf(features[row]);
  const { feature_set: set } = event.changes ?? {};
  return {
    id,
    occurredAt: event.occurred_at,
    model: isOther || model === undefined ? (answered ?? { name: 'unknown' }) : model,
    ...(read === undefined
      ? { set: payload === undefined && typeof set === 'string' ? set : undefined }
      : { features: read }),
    given: givenOf(request, row),
    substituted: listOf(objectOf(item['degraded'])['features']).filter((one) => typeof one === 'string'),
  };
}

function payloadOf(text: string | undefined): Payload {
  const { request, answer, features } = objectOf(text === undefined ? undefined : (JSON.parse(text) as unknown));
  return { request: objectOf(request), answer: objectOf(answer), features: listOf(features) };
}

/** Of `/predict/batch` and of `/v1/infer` as many as they were asked for; of all others one. */
function rowsOf({ predictions, outputs }: Members): number {
  return Math.max(1, listOf(predictions).length, listOf(outputs).length);
}

function featuresOf(row: unknown): RecordedFeatures | undefined {
  const { set, at, known_at: knownAt, values, statuses, given, streams } = objectOf(row);
  if (typeof set !== 'string' || typeof at !== 'string') return undefined;
  return {
    ...{ set, at, knownAt: textOf(knownAt), values: objectOf(values), given: objectOf(given) },
    statuses: objectOf(statuses) as RecordedFeatures['statuses'],
    streams: listOf(streams).map(streamOf),
  };
}

function streamOf(one: unknown): RecordedStream {
  const { stream, entity, event_id: eventId, event_time: eventTime, ingested_at: ingestedAt } = objectOf(one);
  return {
    ...{ stream: String(stream), entity: String(entity) },
    ...{ eventId: textOf(eventId), eventTime: textOf(eventTime), ingestedAt: textOf(ingestedAt) },
  };
}

/** What the row gave by name: features, columns, or tensors, which are named and not repeated. */
function givenOf({ features, requests, inputs }: Members, row: number): Members {
  if (Array.isArray(requests)) return objectOf(objectOf(requests[row])['features']);
  if (Array.isArray(inputs)) return objectOf(inputs[row]);
  const tensors = Object.fromEntries(Object.keys(objectOf(inputs)).map((name) => [name, undefined]));
  return { ...tensors, ...objectOf(features) };
}

function objectOf(value: unknown): Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Members) : {};
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? (value as unknown[]) : [];
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
