import { ANYTHING, ID, INSTANT, listOf, number, object, ref, text, type Schemas } from '../docs/schema';

const FEATURES = {
  ...ANYTHING,
  description: 'Values by feature name; what is left out takes the default of the manifest',
};
const SINGLE = {
  'symbol?': text(),
  'entity?': { oneOf: [text(), ANYTHING] },
  'timestamp?': INSTANT,
  'features?': FEATURES,
  'model?': text('Name of a model; left out: the default model of the server'),
  'model_version?': text('An exact version, an alias, or `latest`; left out: `production`, else `latest`'),
};
const REASONS = {
  features_defaulted: 'a default stands in for some of the `features`',
  features_stale: 'some are older than they should be',
  features_unsettled:
    'some of what had arrived at `timestamp` was being committed still, so asked later the features may have other values',
  features_beyond_retention:
    'a window begins, at the moment that is asked about, before its stream is kept: of what is older it has what is not dropped yet',
  fallback_version: 'a version of another stage answers, as `instead_of` has none',
};
const REASON_TEXT = Object.entries(REASONS)
  .map(([name, why]) => `\`${name}\`: ${why}`)
  .join('; ');
const DEGRADED = object({
  reasons: listOf(text(REASON_TEXT, { enum: Object.keys(REASONS) })),
  'features?': listOf(text()),
  'instead_of?': text(),
});
const ANSWER = {
  ...ANYTHING,
  description:
    'Of a classifier the label under the field that the manifest names, with `probability` and `confidence`; `value`; or `outputs`',
};
const CLOSED = { additionalProperties: false };

/** Bodies and answers of the predict routes. */
export const PREDICT_SCHEMAS: Schemas = {
  PredictRequest: object(SINGLE, CLOSED),
  ModelPredictRequest: object(
    { ...SINGLE, 'inputs?': { ...ANYTHING, description: 'Nested arrays by tensor name' } },
    CLOSED,
  ),
  PredictBatchRequest: object(
    { requests: listOf(ref('PredictRequest')), 'model?': text(), 'model_version?': text() },
    CLOSED,
  ),
  InferRequest: object({ model_id: text(), 'model_version?': text(), inputs: listOf(ANYTHING) }, CLOSED),
  ModelInfo: object({ name: text(), version: text(), 'training_date?': text(), 'accuracy?': number() }),
  Degraded: DEGRADED,
  Prediction: object({
    id: ID,
    prediction: ANSWER,
    model_info: ref('ModelInfo'),
    'degraded?': ref('Degraded'),
    timestamp: INSTANT,
  }),
  ModelPrediction: object({
    id: ID,
    'outputs?': { ...ANYTHING, description: 'Nested arrays by tensor name, where tensors were sent' },
    'prediction?': ANSWER,
    model_info: ref('ModelInfo'),
    'degraded?': ref('Degraded'),
    timestamp: INSTANT,
  }),
  PredictionBatch: object({
    predictions: listOf(
      object({
        'symbol?': text(),
        'prediction?': ANSWER,
        'model_info?': ref('ModelInfo'),
        'degraded?': ref('Degraded'),
        'error?': ANYTHING,
      }),
    ),
    model_info: { oneOf: [ref('ModelInfo'), { type: 'null' }] },
    timestamp: INSTANT,
  }),
  Inference: object({
    id: ID,
    model_id: text(),
    model_version: text(),
    outputs: listOf(ANSWER),
    'degraded?': ref('Degraded'),
    request_id: text(),
    latency_ms: number(),
  }),
};
