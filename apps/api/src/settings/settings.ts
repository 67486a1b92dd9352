import path from 'node:path';
import { AuditOptions } from '@sibyl/audit';
import { AuthOptions } from '@sibyl/auth';
import { DatabaseOptions } from '@sibyl/database';
import { InferenceOptions } from '@sibyl/inference';
import { OnnxLimits } from '@sibyl/onnx';
import { PredictionOptions } from '@sibyl/prediction';
import { RegistryOptions } from '@sibyl/registry';
import { LOG_LEVELS, type LogLevel } from '@sibyl/telemetry';
import { HttpOptions } from '../http/http-options';
import { PredictOptions } from '../predict/predict-options';
import { choice, ENVIRONMENTS, flag, folder, folders, list, optionalText, text, whole, type Environment } from './setting';
import { plainHttpOrigin, weakDatabasePassword, wholeFileSystem } from './unsafe';

const KIBIBYTE = 1024;
const MEBIBYTE = 1024 * KIBIBYTE;
const GIBIBYTE = 1024 * MEBIBYTE;
const HOUR_MS = 3_600_000;

// Defaults are those of the options that the settings become, so that they are written once.
const AUDIT = new AuditOptions();
const AUTH = new AuthOptions();
const DATABASE = new DatabaseOptions();
const INFERENCE = new InferenceOptions();
const ONNX = new OnnxLimits();
const PREDICTION = new PredictionOptions();
const REGISTRY = new RegistryOptions();
const REQUESTS = new HttpOptions();
const PREDICT = new PredictOptions();

/** Where a server runs and what it keeps. */
const PLACE = {
  environment: choice<Environment>({
    name: 'SIBYL_ENV',
    of: ENVIRONMENTS,
    fallback: 'development',
    meaning: 'How strict the defaults are. `production` refuses unsafe settings by name.',
  }),
  host: text({
    name: 'SIBYL_HOST',
    older: 'MODEL_SERVER_HOST',
    type: 'host name or address',
    pattern: /^[A-Za-z0-9.:_-]{1,253}$/,
    fallback: '127.0.0.1',
    meaning: 'Address that HTTP is served on; the container image sets `0.0.0.0`.',
  }),
  port: whole({ name: 'SIBYL_PORT', older: 'MODEL_SERVER_PORT', min: 0, max: 65_535, fallback: 8001, meaning: 'Port of HTTP and WebSocket; 0 takes any free one.' }),
  grpcPort: whole({ name: 'SIBYL_GRPC_PORT', min: 0, max: 65_535, fallback: 8002, meaning: 'Port of gRPC.' }),
  workers: whole({ name: 'SIBYL_WORKERS', older: 'MODEL_SERVER_WORKERS', min: 1, max: 64, fallback: 1, meaning: 'API processes that share the port.' }),
  dataDir: folder({ name: 'SIBYL_DATA_DIR', fallback: ({ dataDir }) => dataDir, shown: '.sibyl', meaning: 'Artifacts, audit spool, keys and the embedded database; mode 0700.' }),
} as const;

const DATA = {
  databaseUrl: optionalText({
    name: 'DATABASE_URL',
    type: 'postgres://…',
    pattern: /^postgres(ql)?:\/\/\S+$/,
    fallback: undefined,
    unsafe: weakDatabasePassword,
    meaning: 'PostgreSQL. Unset: an embedded server starts and stops with this one.',
  }),
  databaseOwnerUrl: optionalText({
    name: 'SIBYL_DATABASE_OWNER_URL',
    type: 'postgres://…',
    pattern: /^postgres(ql)?:\/\/\S+$/,
    fallback: undefined,
    unsafe: weakDatabasePassword,
    meaning: 'The owner of the schemas, for migrations, where `DATABASE_URL` may not create anything.',
  }),
  databasePool: whole({ name: 'SIBYL_DATABASE_POOL', min: 2, max: 200, fallback: DATABASE.poolSize, meaning: 'Connections to PostgreSQL that a process holds at most.' }),
  databaseConnectMs: whole({ name: 'SIBYL_DATABASE_CONNECT_MS', min: 50, max: 60_000, fallback: DATABASE.connectTimeoutMs, meaning: 'How long a connection to PostgreSQL may take before the call is answered 503.' }),
  databaseStatementMs: whole({ name: 'SIBYL_DATABASE_STATEMENT_MS', min: 50, max: 60_000, fallback: DATABASE.statementTimeoutMs, meaning: 'How long one statement may take.' }),
  redisUrl: optionalText({ name: 'REDIS_URL', type: 'redis://…', pattern: /^rediss?:\/\/\S+$/, fallback: undefined, meaning: 'Shared limits and caches for several servers. Unset: limits and caches of this process.' }),
} as const;

const MODELS = {
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
    meaning: 'Packages that are registered at the start if they are absent. The first version of a model to arrive gets the alias `production`.',
  }),
  importFolders: folders({
    name: 'SIBYL_IMPORT_FOLDERS',
    fallback: ({ dataDir }) => [path.join(dataDir, 'import')],
    shown: '`<data dir>/import`',
    unsafe: wholeFileSystem,
    meaning: 'Folders that `source_uri` may read.',
  }),
  importHosts: list({ name: 'SIBYL_IMPORT_HOSTS', type: 'host[:port]', pattern: /^[A-Za-z0-9.-]{1,253}(:\d{1,5})?$/, fallback: [], meaning: 'Hosts that `source_uri` may read from; private addresses only if named here.' }),
  mlflowUri: optionalText({ name: 'MLFLOW_TRACKING_URI', type: 'http(s)://…', pattern: /^https?:\/\/\S+$/, fallback: undefined, meaning: 'MLflow server that `models:/…` URIs are read from.' }),
  s3Bucket: optionalText({ name: 'AWS_S3_BUCKET', type: 'bucket name', pattern: /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, fallback: undefined, meaning: 'Bucket that holds artifacts instead of the local content store.' }),
  artifactBytes: whole({ name: 'SIBYL_ARTIFACT_BYTES', min: KIBIBYTE, max: 64 * GIBIBYTE, fallback: REGISTRY.artifactBytes, meaning: 'All files of one package together.' }),
  validationSeconds: whole({ name: 'SIBYL_VALIDATION_SECONDS', min: 1, max: 3600, fallback: REGISTRY.validationMs / 1000, meaning: 'How long the trial load and the golden samples of a version may take.' }),
  packageFiles: whole({ name: 'SIBYL_PACKAGE_FILES', min: 1, max: 100_000, fallback: REGISTRY.files, meaning: 'Files of one package.' }),
  modelNodes: whole({ name: 'SIBYL_MODEL_NODES', min: 1, max: 10_000_000, fallback: ONNX.nodes, meaning: 'Nodes of an ONNX graph, subgraphs included.' }),
  modelSubgraphDepth: whole({ name: 'SIBYL_MODEL_SUBGRAPH_DEPTH', min: 1, max: 64, fallback: ONNX.subgraphDepth, meaning: 'How deep If, Loop and Scan may be nested in an ONNX graph.' }),
  modelFileBytes: whole({ name: 'SIBYL_MODEL_FILE_BYTES', min: KIBIBYTE, max: 64 * GIBIBYTE, fallback: ONNX.fileBytes, meaning: 'An ONNX file itself, without external data.' }),
  modelTensorBytes: whole({ name: 'SIBYL_MODEL_TENSOR_BYTES', min: KIBIBYTE, max: 64 * GIBIBYTE, fallback: ONNX.tensorBytes, meaning: 'The largest tensor that an ONNX graph may declare.' }),
} as const;

const SERVING = {
  devicePolicy: choice({
    name: 'SIBYL_DEVICE_POLICY',
    of: ['gpu_required', 'gpu_preferred', 'cpu_only'],
    fallback: PREDICTION.devicePolicy,
    meaning: 'Where models run when their manifest does not say. `gpu_required` never falls back.',
  }),
  runnerMemoryMib: whole({ name: 'SIBYL_RUNNER_MEMORY_MIB', min: 64, max: 1_048_576, fallback: INFERENCE.runnerMemoryBytes / MEBIBYTE, meaning: 'Memory of one runner process; one that needs more is ended and replaced.' }),
  trialMemoryMib: whole({ name: 'SIBYL_TRIAL_MEMORY_MIB', min: 64, max: 1_048_576, fallback: INFERENCE.trialMemoryBytes / MEBIBYTE, meaning: 'Memory of the throwaway runner that tries a new version.' }),
  runners: whole({
    name: 'SIBYL_RUNNERS',
    min: 1,
    max: 256,
    fallback: INFERENCE.runners,
    shown: 'cores less one, at most 4',
    meaning: 'Processes that run models.',
  }),
  predictDeadlineMs: whole({ name: 'SIBYL_PREDICT_DEADLINE_MS', min: 10, max: 60_000, fallback: PREDICT.deadlineMs, meaning: 'Deadline of a predict request; `X-Request-Timeout-Ms` asks for another, up to 60,000.' }),
  batchRequests: whole({ name: 'SIBYL_BATCH_REQUESTS', min: 1, max: 100_000, fallback: PREDICT.batchRequests, meaning: 'Requests in one batch.' }),
  callRows: whole({ name: 'SIBYL_CALL_ROWS', min: 1, max: 1_000_000, fallback: PREDICT.rows, meaning: 'Rows of one call with tensors or columns.' }),
  tensorBodyBytes: whole({ name: 'SIBYL_TENSOR_BODY_BYTES', min: KIBIBYTE, max: GIBIBYTE, fallback: PREDICT.tensorBodyBytes, meaning: 'Body of `/models/{name}/predict`, `/v1/infer` and `/v2`.' }),
  queueRequests: whole({ name: 'SIBYL_QUEUE_REQUESTS', min: 1, max: 100_000, fallback: INFERENCE.queueRequests, meaning: 'Requests that may wait for one model; more are answered 503 `queue_full`.' }),
} as const;

const HTTP = {
  bodyBytes: whole({ name: 'SIBYL_BODY_BYTES', min: KIBIBYTE, max: GIBIBYTE, fallback: REQUESTS.bodyBytes, meaning: 'JSON body of every other route.' }),
  jsonDepth: whole({ name: 'SIBYL_JSON_DEPTH', min: 4, max: 256, fallback: REQUESTS.jsonDepth, meaning: 'How deep objects and arrays may be nested.' }),
  headerBytes: whole({ name: 'SIBYL_HEADER_BYTES', min: KIBIBYTE, max: MEBIBYTE, fallback: REQUESTS.headerBytes, meaning: 'All headers of a request together.' }),
  headersSeconds: whole({ name: 'SIBYL_HEADERS_SECONDS', min: 1, max: 600, fallback: REQUESTS.headersTimeoutMs / 1000, meaning: 'How long the headers of a request may take.' }),
  bodySeconds: whole({ name: 'SIBYL_BODY_SECONDS', min: 1, max: 3600, fallback: REQUESTS.bodyTimeoutMs / 1000, meaning: 'How long a JSON body may take.' }),
  uploadSeconds: whole({ name: 'SIBYL_UPLOAD_SECONDS', min: 1, max: 86_400, fallback: REQUESTS.uploadTimeoutMs / 1000, meaning: 'How long the upload of a package may take.' }),
  syncWaitSeconds: whole({ name: 'SIBYL_SYNC_WAIT_SECONDS', min: 0, max: 600, fallback: REQUESTS.syncWaitMs / 1000, meaning: 'How long a registration or load is waited for before it is answered 202 with an operation.' }),
  corsOrigins: list({
    name: 'SIBYL_CORS_ORIGINS',
    type: 'https://host[:port]',
    pattern: /^https?:\/\/[A-Za-z0-9.-]+(:\d{1,5})?$/,
    fallback: [],
    unsafe: plainHttpOrigin,
    meaning: 'Origins whose pages may call this server. Empty: CORS is off.',
  }),
  strictTransport: flag({ name: 'SIBYL_STRICT_TRANSPORT', fallback: false, meaning: 'Sends `Strict-Transport-Security`. Only where TLS ends in front of this server.' }),
} as const;

const SECURITY = {
  adminKey: optionalText({
    name: 'SIBYL_ADMIN_KEY',
    type: 'sk_…, as `npm run key` prints it',
    pattern: /^sk_[A-Za-z0-9]+_[A-Za-z0-9]+$/,
    fallback: undefined,
    meaning: 'The first admin key. Unset: made at the first start and written to `<data dir>/admin-key` (0600), never printed.',
  }),
  authFailures: whole({ name: 'SIBYL_AUTH_FAILURES', min: 1, max: 1_000_000, fallback: AUTH.failedAuthentications, meaning: 'Failed authentications of one address before it is answered 429.' }),
  authFailureSeconds: whole({ name: 'SIBYL_AUTH_FAILURE_SECONDS', min: 1, max: 86_400, fallback: AUTH.failedAuthenticationSeconds, meaning: 'The time in which those failures are counted.' }),
  keysMax: whole({ name: 'SIBYL_KEYS_MAX', min: 1, max: 10_000_000, fallback: AUTH.keys, meaning: 'Keys that may exist; all of them are held in memory.' }),
  auditSpoolBytes: whole({ name: 'SIBYL_AUDIT_SPOOL_BYTES', min: MEBIBYTE, max: 1024 * GIBIBYTE, fallback: AUDIT.spoolBytes, meaning: 'Events that may wait on disk for PostgreSQL; past it nothing is answered that needs recording.' }),
} as const;

const OPERATION = {
  logLevel: choice<LogLevel>({
    name: 'SIBYL_LOG_LEVEL',
    older: 'MODEL_SERVER_LOG_LEVEL',
    of: LOG_LEVELS,
    fallback: 'info',
    unsafe: (level) => (level === 'trace' || level === 'debug' ? `${level} tells more than a log should keep` : undefined),
    meaning: 'Least severe lines that are written.',
  }),
  drainDelayMs: whole({
    name: 'SIBYL_DRAIN_DELAY_MS',
    min: 0,
    max: HOUR_MS,
    fallback: ({ environment }) => (environment === 'production' ? 5000 : 0),
    shown: '0; 5000 in production',
    meaning: 'After SIGTERM connections are still accepted for this long, while `/ready` is already 503.',
  }),
  drainSeconds: whole({ name: 'SIBYL_DRAIN_SECONDS', min: 0, max: 3600, fallback: 10, meaning: 'How long requests under way are then waited for.' }),
  operations: whole({ name: 'SIBYL_OPERATIONS', min: 1, max: 100_000, fallback: 1000, meaning: 'Operations that are remembered; finished ones go first.' }),
} as const;

/** Every setting by the name that the code gives it; the documentation, `.env.example` and the reader are made from it. */
export const SETTING_GROUPS = {
  'Where it runs': PLACE,
  Data: DATA,
  'Keys and audit': SECURITY,
  'Models and their limits': MODELS,
  Predictions: SERVING,
  'Requests and their limits': HTTP,
  Operation: OPERATION,
} as const;

export const SETTINGS = { ...PLACE, ...DATA, ...SECURITY, ...MODELS, ...SERVING, ...HTTP, ...OPERATION } as const;

/** The values of all settings. */
export type Settings = { readonly [Name in keyof typeof SETTINGS]: ReturnType<(typeof SETTINGS)[Name]['parse']> };
