/** Hot path. See docs/paths/predict.md. */
import type { Gate } from '@sibyl/auth';
import type { Clock, IdSource } from '@sibyl/kernel';
import type { PredictionService } from '@sibyl/prediction';
import type { HttpOptions } from '../http/http-options';
import type { PredictExchange } from './predict-exchange';
import type { LongBodies } from './long-bodies';
import type { PredictOptions } from './predict-options';
import type { PredictReplies } from './predict-replies';

/** What the predict handler is made of. */
export interface PredictParts {
  readonly gate: Gate;
  readonly service: PredictionService;
  readonly replies: PredictReplies;
  readonly long: LongBodies;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly options: PredictOptions;
  readonly http: HttpOptions;
}

/** What goes wrong with the work is the answer. */
export function orFail(exchange: PredictExchange, { replies }: Pick<PredictParts, 'replies'>, work: () => void): void {
  try {
    work();
  } catch (error) {
    replies.fail(exchange, error);
  }
}
