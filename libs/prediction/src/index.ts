export { PredictionOptions } from './prediction-options';
export { PredictCall } from './predict-call';
export { PredictionService, type RowRequest } from './prediction-service';
export type { RowPrediction } from './decision';
export type { Receiver, RowAnswer, TensorAnswer } from './row-inference';
/** @public The port of feature sources. */
export { FeatureReader, ManifestDefaults, type FeatureQuery } from './feature-reader';
export { Promotion, type Elsewhere } from './promotion';
export { ModelReconciler, type ReconcilerLog } from './model-reconciler';
export type { ServingSource } from './serving-source';
export type { Resolution, ServedModel } from './serving-table';
export type { ReloadedVersion } from './version-renewal';
export type { ServedVersion, ServingState } from './served-version';
export type { JsonObject } from './feature-rows';
export { pointerTo, RequestFaults } from './request-faults';
export { digestLong, PayloadDigest } from './payload-digest';
