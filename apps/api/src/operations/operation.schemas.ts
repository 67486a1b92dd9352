import { ANYTHING, ID, INSTANT, object, ref, text, whole, type Schemas } from '../docs/schema';

export const OPERATION_SCHEMAS: Schemas = {
  Operation: object({
    id: ID,
    kind: text('`noun.verb`'),
    status: text(undefined, { enum: ['running', 'succeeded', 'failed', 'cancelled'] }),
    progress: object({ done: whole(), total: whole(), 'what?': text('The step that is under way') }),
    started_at: INSTANT,
    'ended_at?': INSTANT,
    'result?': { anyOf: [ref('TrainingSet'), ANYTHING], description: 'What the work made, by its kind' },
    'error?': object({ code: text(), status: whole(), detail: text() }, { additionalProperties: true }),
  }),
};
