import { ANYTHING, ID, INSTANT, listOf, number, object, orNull, ref, text, whole, type Schemas } from '../docs/schema';

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
  RecordedFeatures: object({
    set: text('`name@sha256:...`: the version of the feature set'),
    at: INSTANT,
    'known_at?': {
      ...INSTANT,
      description: 'What was known of the past; of a prediction of now each stream says that by itself',
    },
    ages: { ...ANYTHING, description: 'By stream, the age of its newest event in seconds' },
    values: { ...ANYTHING, description: 'By the names of the set' },
    statuses: { ...ANYTHING, description: 'Of the values that are not PRESENT' },
    'given?': { ...ANYTHING, description: 'What the request gave, by `view:feature`' },
    streams: listOf(
      object({
        stream: text(),
        entity: text('Empty: the request named nobody'),
        'event_id?': text('Of the newest event that counted'),
        'event_time?': INSTANT,
        'ingested_at?': { ...INSTANT, description: 'The latest arrival of all that was known' },
      }),
    ),
  }),
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
    'features?': listOf(orNull(ref('RecordedFeatures'))),
    'request?': { ...ANYTHING, description: 'The request as it came' },
    'answer?': { ...ANYTHING, description: 'The answer as it left' },
  }),
};
