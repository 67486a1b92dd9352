import { availableParallelism } from 'node:os';
import path from 'node:path';
import { InferenceOptions } from '@sibyl/inference';
import { OnnxLimits } from '@sibyl/onnx';
import { PredictionOptions } from '@sibyl/prediction';
import { RegistryOptions } from '@sibyl/registry';
import { PredictOptions } from '../predict/predict-options';
import { SOURCES } from './source-settings';
import { bytes, choice, folders, list, optionalText, text, whole } from './setting';
import { wholeFileSystem } from './unsafe';

const KIBIBYTE = 1024;
const MEBIBYTE = 1024 * KIBIBYTE;
const GIBIBYTE = 1024 * MEBIBYTE;

// Defaults are those of the options that the settings become, so that they are written once.
const INFERENCE = new InferenceOptions();
const ONNX = new OnnxLimits();
const PREDICTION = new PredictionOptions();
const REGISTRY = new RegistryOptions();

/** A runner without a model takes 80 MiB, most of which all of them share; with less than this it would only be ended again and again. */
const LEAST_RUNNER_MIB = 128;
const PREDICT = new PredictOptions();

/** Models, where they come from and what they may be. */
export const MODELS = {
  defaultModel: optionalText({
    name: 'SIBYL_DEFAULT_MODEL',
    type: 'model name',
    pattern: /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/,
    fallback: ({ environment }) => (environment === 'development' ? 'momentum' : undefined),
    shown: '`momentum` in development',
    meaning: 'The model of `/predict` when the request names none.',
  }),
  models: list({
    name: 'SIBYL_MODELS',
    type: 'paths or URIs',
    fallback: ({ environment }) => (environment === 'development' ? [path.join('examples', 'models', '*')] : []),
    shown: '`examples/models/*` in development',
    meaning:
      'Packages that are registered at the start if they are absent. The first version of a model to arrive gets the alias `production`.',
  }),
  importFolders: folders({
    name: 'SIBYL_IMPORT_FOLDERS',
    fallback: ({ dataDir }) => [path.join(dataDir, 'import')],
    shown: '`<data dir>/import`',
    unsafe: wholeFileSystem,
    meaning: 'Folders that `source_uri` may read.',
  }),
  ...SOURCES,
  signaturePolicy: choice({
    name: 'SIBYL_SIGNATURE_POLICY',
    of: ['none', 'verify', 'require'],
    fallback: REGISTRY.signaturePolicy,
    meaning:
      'What is asked of signed packages: nothing; that a signature that is there holds; that there is one. The policy of a model may ask for more.',
  }),
  trustedKeys: folders({
    name: 'SIBYL_TRUSTED_KEYS',
    fallback: [],
    meaning: 'Public keys whose signatures are believed: PEM files, or folders with `.pem` and `.pub` files.',
  }),
  artifactBytes: whole({
    name: 'SIBYL_ARTIFACT_BYTES',
    min: KIBIBYTE,
    max: 64 * GIBIBYTE,
    fallback: REGISTRY.artifactBytes,
    meaning: 'All files of one package together.',
  }),
  validationSeconds: whole({
    name: 'SIBYL_VALIDATION_SECONDS',
    min: 1,
    max: 3600,
    fallback: REGISTRY.validationMs / 1000,
    meaning: 'How long the trial load and the golden samples of a version may take.',
  }),
  uploadHours: whole({
    name: 'SIBYL_UPLOAD_HOURS',
    min: 1,
    max: 8760,
    fallback: REGISTRY.uploadKeepMs / 3_600_000,
    meaning: 'How long a file that was sent by itself, whole or in part, waits for the rest or for its registration.',
  }),
  scrubBytesPerSecond: whole({
    name: 'SIBYL_SCRUB_BYTES_PER_SECOND',
    min: 0,
    max: 64 * GIBIBYTE,
    fallback: REGISTRY.scrubBytesPerSecond,
    meaning:
      'How fast stored packages are read again in the background, each once a week, to find damage; 0: not at all.',
  }),
  keepPredictedDays: whole({
    name: 'SIBYL_KEEP_PREDICTED_DAYS',
    min: 0,
    max: 36_500,
    fallback: REGISTRY.keepPredictedDays,
    meaning:
      'Days since its last prediction that the bytes of a version may not be deleted; 0: a prediction keeps nothing.',
  }),
  packageFiles: whole({
    name: 'SIBYL_PACKAGE_FILES',
    min: 1,
    max: 100_000,
    fallback: REGISTRY.files,
    meaning: 'Files of one package.',
  }),
  modelNodes: whole({
    name: 'SIBYL_MODEL_NODES',
    min: 1,
    max: 10_000_000,
    fallback: ONNX.nodes,
    meaning: 'Nodes of an ONNX graph, subgraphs included.',
  }),
  modelSubgraphDepth: whole({
    name: 'SIBYL_MODEL_SUBGRAPH_DEPTH',
    min: 1,
    max: 64,
    fallback: ONNX.subgraphDepth,
    meaning: 'How deep If, Loop and Scan may be nested in an ONNX graph.',
  }),
  modelFileBytes: whole({
    name: 'SIBYL_MODEL_FILE_BYTES',
    min: KIBIBYTE,
    max: 64 * GIBIBYTE,
    fallback: ONNX.fileBytes,
    meaning: 'An ONNX file itself, without external data.',
  }),
  modelTensorBytes: whole({
    name: 'SIBYL_MODEL_TENSOR_BYTES',
    min: KIBIBYTE,
    max: 64 * GIBIBYTE,
    fallback: ONNX.tensorBytes,
    meaning: 'The largest tensor that an ONNX graph may declare.',
  }),
} as const;

/** How models run and what a prediction may ask. */
export const SERVING = {
  devicePolicy: choice({
    name: 'SIBYL_DEVICE_POLICY',
    of: ['gpu_required', 'gpu_preferred', 'cpu_only'],
    fallback: PREDICTION.devicePolicy,
    meaning: 'Where models run when their manifest does not say. `gpu_required` never falls back.',
  }),
  runnerMemoryMib: whole({
    name: 'SIBYL_RUNNER_MEMORY_MIB',
    min: LEAST_RUNNER_MIB,
    max: 1_048_576,
    fallback: INFERENCE.runnerMemoryBytes / MEBIBYTE,
    meaning: 'Memory of one runner process; one that needs more is ended and replaced.',
  }),
  runnerGroups: text({
    name: 'SIBYL_RUNNER_CGROUP',
    type: 'auto, off or a folder',
    pattern: /^(auto|off|\/.*)$/,
    fallback: INFERENCE.runnerGroups,
    meaning:
      "Where the kernel holds each runner to its memory in a control group of its own, which it ends at 64 MiB more than the watch does. `auto`: below the server's own group, where that may be written; a folder: below this one, which must belong to the server alone; `off`: memory is watched only. `/health/detailed` shows which (`runtime.memory_limit`).",
  }),
  modelMemory: bytes({
    name: 'SIBYL_MODEL_MEMORY',
    min: 16 * MEBIBYTE,
    fallback: PREDICTION.modelMemoryBytes,
    shown: '60 % of the memory of the container or machine',
    meaning:
      'Memory of loaded models in all runners together; of several workers each has its share. Past it the least recently used are unloaded, but never what an alias points at or is kept loaded.',
  }),
  modelIdleSeconds: whole({
    name: 'SIBYL_MODEL_IDLE_SECONDS',
    min: 0,
    max: 31_536_000,
    fallback: PREDICTION.modelIdleMs / 1000,
    meaning:
      'A version that no alias points at, that is not kept loaded and that nobody has asked for in this time is unloaded; 0: never.',
  }),
  keepLoaded: list({
    name: 'SIBYL_KEEP_LOADED',
    type: 'model@version',
    pattern: /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}@[A-Za-z0-9.+_-]{1,64}$/,
    fallback: PREDICTION.keepLoaded,
    meaning:
      'Versions that are loaded at the start and stay so, beside those that aliases point at and those whose manifest says `keep_loaded`.',
  }),
  trialMemoryMib: whole({
    name: 'SIBYL_TRIAL_MEMORY_MIB',
    min: LEAST_RUNNER_MIB,
    max: 1_048_576,
    fallback: INFERENCE.trialMemoryBytes / MEBIBYTE,
    meaning: 'Memory of the throwaway runner that tries a new version.',
  }),
  runners: whole({
    name: 'SIBYL_RUNNERS',
    min: 1,
    max: 256,
    fallback: ({ workers }) =>
      Math.max(1, Math.min(INFERENCE.runners, Math.floor(availableParallelism() / workers) - 1)),
    shown: "a worker's share of the cores less one, at most 4",
    meaning:
      'Processes that run models, of each worker; a model that is expensive to load gets up to as many of its own.',
  }),
  spareRunners: whole({
    name: 'SIBYL_SPARE_RUNNERS',
    min: 0,
    max: 1,
    fallback: INFERENCE.spareRunners,
    meaning:
      'Processes that wait to replace a runner that ends, of each worker, from the first prediction on; each takes about 35 MiB.',
  }),
  preparedBytes: bytes({
    name: 'SIBYL_PREPARED_BYTES',
    min: 0,
    fallback: INFERENCE.preparedBytes,
    shown: '16 GiB',
    meaning:
      'Disk for models of 32 MiB and more in the form in which runners share their memory, each twice its size; 0: every runner has its own copy.',
  }),
  predictDeadlineMs: whole({
    name: 'SIBYL_PREDICT_DEADLINE_MS',
    min: 10,
    max: 60_000,
    fallback: PREDICT.deadlineMs,
    meaning: 'Deadline of a predict request; `X-Request-Timeout-Ms` asks for another, up to 60,000.',
  }),
  batchRequests: whole({
    name: 'SIBYL_BATCH_REQUESTS',
    min: 1,
    max: 100_000,
    fallback: PREDICT.batchRequests,
    meaning: 'Requests in one batch.',
  }),
  callRows: whole({
    name: 'SIBYL_CALL_ROWS',
    min: 1,
    max: 1_000_000,
    fallback: PREDICT.rows,
    meaning: 'Rows of one call with tensors or columns.',
  }),
  tensorBodyBytes: whole({
    name: 'SIBYL_TENSOR_BODY_BYTES',
    min: KIBIBYTE,
    max: GIBIBYTE,
    fallback: PREDICT.tensorBodyBytes,
    meaning: 'Body of `/models/{name}/predict`, `/v1/infer` and `/v2`.',
  }),
  batchBudgetMs: whole({
    name: 'SIBYL_BATCH_BUDGET_MS',
    min: 1,
    max: 60_000,
    fallback: INFERENCE.batchBudgetMs,
    meaning: 'How long one run of a model may be expected to take: rows that would take longer run in several.',
  }),
  queueWaitMs: whole({
    name: 'SIBYL_QUEUE_WAIT_MS',
    min: 1,
    max: 60_000,
    fallback: INFERENCE.queueWaitMs,
    meaning:
      'How long a request may have to wait for its turn, as far as it can be told; past it 503 `queue_full`. `bulk` ones wait until their deadline.',
  }),
  longBodiesBytes: whole({
    name: 'SIBYL_LONG_BODIES_BYTES',
    min: KIBIBYTE,
    max: 64 * GIBIBYTE,
    fallback: PREDICT.longBodiesBytes,
    meaning:
      'Bytes of bodies over 128 KiB that are received, read or answered at once, all together, counted as announced; more are 503 `queue_full` before they are received.',
  }),
  queueRequests: whole({
    name: 'SIBYL_QUEUE_REQUESTS',
    min: 1,
    max: 100_000,
    fallback: INFERENCE.queueRequests,
    meaning: 'Requests that may wait for one model in one worker; more are answered 503 `queue_full`.',
  }),
} as const;
