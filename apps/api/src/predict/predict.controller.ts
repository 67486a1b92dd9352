import { Controller, Post } from '@nestjs/common';
import { ApiBody, ApiTags } from '@nestjs/swagger';
import type { ErrorCode } from '@sibyl/kernel';
import { unreachable } from '../front/unreachable';
import { both, Endpoint, type EndpointFacts } from '../http/endpoint.decorator';
import { BATCH_EXAMPLE, INFER_EXAMPLE, MODEL_EXAMPLES, SINGLE_EXAMPLE } from './predict-examples';
import { PredictOptions } from './predict-options';

const PREDICT_ERRORS: readonly ErrorCode[] = [
  'model_not_found',
  'version_not_found',
  'version_not_servable',
  'model_forbidden',
  'input_missing',
  'input_type_mismatch',
  'input_shape_mismatch',
  'input_out_of_range',
  'non_finite_input',
  'input_not_allowed',
  'batch_too_large',
  'incomplete_features',
  'model_output_invalid',
  'model_run_failed',
  'model_crashed_on_input',
  'model_not_ready',
  'queue_full',
  'execution_provider_unavailable',
  'deadline_exceeded',
];

/** As `Exchange` reads them. */
const PREDICT_HEADERS: NonNullable<EndpointFacts['headers']> = {
  'X-Request-Priority': {
    description:
      '`bulk` lets interactive requests of the model go first: it has a tenth of their share while they wait, and no limit of waiting but its deadline.',
    schema: { type: 'string', enum: ['interactive', 'bulk'], default: 'interactive' },
  },
  'X-Request-Timeout-Ms': {
    description:
      'Milliseconds after which the answer is of no use any more, in place of `SIBYL_PREDICT_DEADLINE_MS`; then 504 `deadline_exceeded`.',
    schema: { type: 'integer', minimum: 1, maximum: new PredictOptions().deadlineMaxMs },
  },
};

/**
 * Declares the predict routes for OpenAPI, for 405 and for the table of routes. `PredictHandler` takes these requests before
 * the ordinary stack, so that the methods never run.
 */
@ApiTags('Predict')
@Controller()
export class PredictController {
  @Post(both('/predict'))
  @Endpoint({
    summary: 'Predict one request',
    access: 'predict',
    action: 'prediction.create',
    body: 'raw',
    answer: 'Prediction',
    errors: PREDICT_ERRORS,
    headers: PREDICT_HEADERS,
  })
  @ApiBody({ schema: { $ref: '#/components/schemas/PredictRequest' }, examples: { signal: { value: SINGLE_EXAMPLE } } })
  predict(): never {
    throw unreachable();
  }

  @Post(both('/predict/batch'))
  @Endpoint({
    summary: 'Predict many requests; one bad item never fails the others',
    access: 'predict',
    action: 'prediction.create',
    body: 'raw',
    answer: 'PredictionBatch',
    errors: PREDICT_ERRORS,
    headers: PREDICT_HEADERS,
  })
  @ApiBody({
    schema: { $ref: '#/components/schemas/PredictBatchRequest' },
    examples: { signals: { value: BATCH_EXAMPLE } },
  })
  predictBatch(): never {
    throw unreachable();
  }

  @Post(both('/models/:name/predict'))
  @Endpoint({
    summary: 'Predict with the model of the path, by features or by tensors',
    access: 'predict',
    action: 'prediction.create',
    body: 'raw',
    answer: 'ModelPrediction',
    model: 'name',
    errors: PREDICT_ERRORS,
    headers: PREDICT_HEADERS,
  })
  @ApiBody({ schema: { $ref: '#/components/schemas/ModelPredictRequest' }, examples: MODEL_EXAMPLES })
  predictModel(): never {
    throw unreachable();
  }

  @Post('/v1/infer')
  @Endpoint({
    summary: 'Predict rows of columns with one model',
    access: 'predict',
    action: 'prediction.create',
    body: 'raw',
    answer: 'Inference',
    errors: PREDICT_ERRORS,
    headers: PREDICT_HEADERS,
  })
  @ApiBody({ schema: { $ref: '#/components/schemas/InferRequest' }, examples: { rows: { value: INFER_EXAMPLE } } })
  infer(): never {
    throw unreachable();
  }
}
