export { PredictionOptions } from './prediction-options';
export {
  PredictCall,
  PredictionService,
  type RowAnswer,
  type RowRequest,
  type TensorAnswer,
} from './prediction-service';
export { FeatureReader, ManifestDefaults, type FeatureQuery } from './feature-reader';
export { Promotion } from './promotion';
export { ModelReconciler, type ReconcilerLog, type ServingSource } from './model-reconciler';
export { ServingTable, type Resolution, type ServedModel } from './serving-table';
export type { ServedVersion, ServingState } from './served-version';
export type { JsonObject } from './feature-rows';
export { pointerTo, RequestFaults } from './request-faults';
export { PayloadDigest } from './payload-digest';
