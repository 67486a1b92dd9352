export {
  ModelRuntime,
  type DevicePolicy,
  type Execution,
  type InferReceiver,
  type InferRequest,
  type LoadOptions,
  type LoadedModel,
  type ModelFile,
  type ModelStatistics,
  type BatchFigures,
  type TrialLimits,
  type TrialPhase,
  type TrialReport,
  type TrialRuns,
} from './model-runtime';
export { type ExpectedLoad } from './placement';
export { GpuMeter } from './gpu-meter';
export { type GpuReading } from './gpu-reading';
export { type RunnerStatus, type RuntimeStatus } from './runtime-status';
export { InferenceOptions } from './inference-options';
export { type InferenceObserver, type RunnerLoss } from './inference-observer';
export { type InferenceLog } from './inference-log';
export { OnnxRuntime, type OnnxRuntimeDeps } from './onnx-runtime';
export { bytesOf } from './version-queue';
export { SplitRequest } from './split-request';
