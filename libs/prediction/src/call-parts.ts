import type { PlainScanner } from '@sibyl/protocol';
import type { FeatureQuery } from './feature-reader';
import type { JsonObject } from './feature-rows';
import type { PredictCall } from './predict-call';
import type { ServedVersion } from './served-version';

/** One row that a caller asks about. */
export interface RowRequest {
  readonly features: JsonObject;
  readonly query: FeatureQuery;
  /** Where the features stand in the request, for errors. */
  readonly pointer: string;
}

/** Rows for one version. */
export interface RowGroup {
  readonly served: ServedVersion;
  readonly rows: readonly RowRequest[];
}

/** Where nested arrays may be in a call. */
export interface LongParts {
  readonly inputs?: JsonObject | undefined;
  readonly rows: readonly Pick<RowRequest, 'features' | 'pointer'>[];
}

/** Tensors that a caller asks about. */
export interface TensorCall {
  readonly inputs: JsonObject;
  readonly call: PredictCall;
  readonly rowsMax: number;
}

/** A call whose features or tensors are still the bytes at a scanner. */
export interface PlainCall extends Pick<TensorCall, 'call' | 'rowsMax'> {
  readonly scanner: PlainScanner;
  readonly query: FeatureQuery;
}
