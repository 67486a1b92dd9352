import type { EventFilter, EventPageRequest, RecordedPrediction } from '@sibyl/audit';
import type { EventListQuery } from './audit.dto';

export function toEventFilter(query: EventListQuery): EventFilter {
  const { actor, action, outcome, model, version, status, ip } = query;
  return {
    fromMs: query.from === undefined ? undefined : Date.parse(query.from),
    toMs: query.to === undefined ? undefined : Date.parse(query.to),
    keyId: query.key_id,
    requestId: query.request_id,
    predictionId: query.prediction_id,
    ...{ actor, action, outcome, model, version, status, ip },
  };
}

export function toPageRequest({ limit, order, cursor }: EventListQuery): EventPageRequest {
  return { limit, order, cursor };
}

/**
 * A recorded prediction as JSON text. `request` and `answer` are the very texts that were recorded: parsing them would
 * round the digits of INT64. What most readers look for stands beside them, parsed.
 */
export function toPredictionText(id: string, { event, payload }: RecordedPrediction): string {
  const { request_id, recorded_at, occurred_at, status, outcome, duration_ms, model, inputs_digest, outputs_digest } =
    event;
  const recorded = {
    event_id: event.id,
    key_id: event.actor.key_id,
    request_id,
    recorded_at,
    occurred_at,
    status,
    outcome,
    duration_ms,
  };
  const head = JSON.stringify({ id, ...answerOf(payload), model, inputs_digest, outputs_digest, recorded });
  return payload === undefined || !isObjectText(payload) ? head : `${head.slice(0, -1)},${payload.trim().slice(1)}`;
}

function isObjectText(payload: string): boolean {
  return payload.startsWith('{') && payload.trim().length > 2;
}

function answerOf(payload: string | undefined): Record<string, unknown> {
  if (payload === undefined) return {};
  const { answer } = JSON.parse(payload) as { answer?: Record<string, unknown> };
  return { prediction: answer?.['prediction'], model_info: answer?.['model_info'], timestamp: answer?.['timestamp'] };
}
