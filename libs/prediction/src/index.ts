export { PredictionOptions } from './prediction-options';
export { PredictCall } from './predict-call';
export type { RowRequest } from './call-parts';
export { PredictionService } from './prediction-service';
export type { RowPrediction } from './decision';
export type { Receiver, RowAnswer, RowFill, TensorAnswer } from './row-inference';
/** @public The port of feature sources. */
export {
  FeatureReader,
  ManifestDefaults,
  type FeatureAsk,
  type FeatureCall,
  type FeatureBasis,
  type FeatureQuery,
  type FilledRow,
  type FilledRows,
  type VersionFeatures,
} from './feature-reader';
export { contractOf } from './manifest-contract';
export type { FeatureSlot, ModelContract } from './model-contract';
export { Promotion, type Elsewhere } from './promotion';
export { ModelReconciler, type ReconcilerLog } from './model-reconciler';
export type { ServingSource } from './serving-source';
export type { Resolution, ServedModel } from './serving-table';
export type { ReloadedVersion } from './version-renewal';
export type { ServedVersion, ServingState } from './served-version';
export { noteFault, type JsonObject } from './feature-rows';
export { leavesOut } from './filling-rows';
export { pointerTo, RequestFaults } from './request-faults';
export { digestLong, PayloadDigest } from './payload-digest';
