import { ANYTHING, ID, INSTANT, listOf, number, object, ref, text, whole, type Schemas } from '../docs/schema';

const MODEL = object({ name: text(), 'version?': text(), 'digest?': text(), 'alias?': text() });
const OUTCOME = text(undefined, { enum: ['succeeded', 'denied', 'failed'] });

export const AUDIT_SCHEMAS: Schemas = {
  AuditEvent: object({
    id: ID,
    recorded_at: INSTANT,
    occurred_at: INSTANT,
    action: text('`noun.verb`'),
    outcome: OUTCOME,
    status: whole(),
    actor: ref('Actor'),
    ip: text(),
    request_id: text(),
    'trace_id?': text(),
    resource: object({ type: text(), id: text() }),
    'model?': MODEL,
    'prediction_id?': ID,
    duration_ms: number(),
    'inputs_digest?': text(),
    'outputs_digest?': text(),
    'reason?': text(),
    'changes?': ANYTHING,
    'count?': whole('Requests that this event stands for'),
    chain: ID,
    seq: whole(),
  }),
  AuditEventList: object({ items: listOf(ref('AuditEvent')), 'next?': text('Cursor of the next page') }),
  RecordedPrediction: object({
    id: ID,
    'prediction?': ANYTHING,
    'model_info?': ANYTHING,
    'timestamp?': INSTANT,
    'model?': MODEL,
    'inputs_digest?': text(),
    'outputs_digest?': text(),
    recorded: object({
      event_id: ID,
      key_id: ID,
      request_id: text(),
      recorded_at: INSTANT,
      occurred_at: INSTANT,
      status: whole(),
      outcome: OUTCOME,
      duration_ms: number(),
    }),
    'request?': { ...ANYTHING, description: 'The request as it came' },
    'answer?': { ...ANYTHING, description: 'The answer as it left' },
  }),
};
