import path from 'node:path';
import { validateSync } from 'class-validator';
import { AuditOptions } from '@sibyl/audit';
import { AuthOptions, parseKey } from '@sibyl/auth';
import { DatabaseOptions } from '@sibyl/database';
import { LineageOptions, LogOptions, ReadOptions, TrainingOptions } from '@sibyl/features';
import { InferenceOptions } from '@sibyl/inference';
import { OnnxLimits } from '@sibyl/onnx';
import { PredictionOptions } from '@sibyl/prediction';
import { RegistryOptions, SourceOptions } from '@sibyl/registry';
import { TelemetryOptions } from '@sibyl/telemetry';
import { HttpOptions } from './src/http/http-options';
import { PredictOptions } from './src/predict/predict-options';
import { withDotenv } from './src/settings/dotenv';
import { readSettings, SettingsError, type Variables } from './src/settings/read-settings';
import type { Settings } from './src/settings/settings';

export { SettingsError };

const MEBIBYTE = 1024 * 1024;

/** Where and as what the process runs. */
export type ServerOptions = Pick<
  Settings,
  'environment' | 'host' | 'port' | 'workers' | 'drainDelayMs' | 'drainSeconds'
>;

/** The settings of this process, and the options of every library that they come to. Nothing in it changes any more. */
export interface ApiConfig {
  readonly server: ServerOptions;
  readonly dataDir: string;
  readonly adminKey: string | undefined;
  /** Packages to register at the start. */
  readonly models: readonly string[];
  /** Operations that are remembered. */
  readonly operations: number;
  readonly telemetry: TelemetryOptions;
  readonly http: HttpOptions;
  readonly predict: PredictOptions;
  readonly auth: AuthOptions;
  readonly audit: AuditOptions;
  readonly database: DatabaseOptions;
  readonly features: LogOptions;
  readonly lineage: LineageOptions;
  readonly featureReads: ReadOptions;
  readonly training: TrainingOptions;
  readonly inference: InferenceOptions;
  readonly registry: RegistryOptions;
  readonly sources: SourceOptions;
  readonly onnx: OnnxLimits;
  readonly prediction: PredictionOptions;
}

/** Reads the environment and `.env`: the only place that does. Throws SettingsError with everything that is wrong. */
export function loadConfig(environment: Variables = process.env, folder: string = process.cwd()): ApiConfig {
  const settings = readSettings(withDotenv(environment, folder));
  const options = {
    ...edgeOptions(settings),
    ...dataOptions(settings),
    ...modelOptions(settings),
    sources: sourceOptions(settings),
  };

  const problems = [...keyProblems(settings), ...Object.values<object>(options).flatMap(problemsOf)];
  if (problems.length > 0) throw new SettingsError(problems);
  const { dataDir, adminKey, models, operations } = settings;
  return Object.freeze({ ...options, server: serverOptions(settings), dataDir, adminKey, models, operations });
}

/** A key that lost a character would only be noticed when it is used. */
function keyProblems({ adminKey }: Settings): string[] {
  if (adminKey === undefined || parseKey(adminKey) !== undefined) return [];
  return ['SIBYL_ADMIN_KEY: expected a key as `npm run key` prints it; its checksum does not match'];
}

function serverOptions(settings: Settings): ServerOptions {
  const { environment, host, port, workers, drainDelayMs, drainSeconds } = settings;
  return Object.freeze({
    environment,
    host,
    port,
    workers,
    drainDelayMs,
    drainSeconds,
  });
}

function edgeOptions(settings: Settings): Pick<ApiConfig, 'telemetry' | 'http' | 'predict'> {
  const terminal = settings.environment === 'development' && Boolean(process.stdout.isTTY);
  return {
    telemetry: frozen(new TelemetryOptions(), { logLevel: settings.logLevel, prettyLogs: terminal }),
    http: frozen(new HttpOptions(), {
      bodyBytes: settings.bodyBytes,
      jsonDepth: settings.jsonDepth,
      bodyTimeoutMs: settings.bodySeconds * 1000,
      headersTimeoutMs: settings.headersSeconds * 1000,
      headerBytes: settings.headerBytes,
      uploadTimeoutMs: settings.uploadSeconds * 1000,
      uploadParts: settings.packageFiles,
      artifactBytes: settings.artifactBytes,
      syncWaitMs: settings.syncWaitSeconds * 1000,
      corsOrigins: settings.corsOrigins,
      strictTransport: settings.strictTransport,
    }),
    predict: frozen(new PredictOptions(), {
      ...(settings.defaultModel === undefined ? {} : { defaultModel: settings.defaultModel }),
      bodyBytes: settings.bodyBytes,
      tensorBodyBytes: settings.tensorBodyBytes,
      longBodiesBytes: settings.longBodiesBytes,
      batchRequests: settings.batchRequests,
      rows: settings.callRows,
      deadlineMs: settings.predictDeadlineMs,
    }),
  };
}

function dataOptions(
  settings: Settings,
): Pick<ApiConfig, 'auth' | 'audit' | 'database' | 'features' | 'featureReads' | 'training' | 'lineage'> {
  return {
    features: frozen(new LogOptions(), {
      clockSkewMs: settings.featureClockSkewMs,
      ...(settings.redisUrl === undefined ? {} : { redisUrl: settings.redisUrl }),
    }),
    lineage: frozen(new LineageOptions(), {
      ...(settings.openLineageUrl === undefined ? {} : { url: settings.openLineageUrl }),
      ...(settings.openLineageKey === undefined ? {} : { apiKey: settings.openLineageKey }),
      namespace: settings.openLineageNamespace,
    }),
    featureReads: frozen(new ReadOptions(), {
      stateBytes: settings.featureMemoryBytes,
      clockSkewMs: settings.featureClockSkewMs,
    }),
    training: frozen(new TrainingOptions(), { totalBytes: settings.trainingBytes }),
    auth: frozen(new AuthOptions(), {
      keys: settings.keysMax,
      failedAuthentications: settings.authFailures,
      failedAuthenticationSeconds: settings.authFailureSeconds,
    }),
    audit: frozen(new AuditOptions(), {
      spoolBytes: settings.auditSpoolBytes,
      durability: settings.auditDurability,
    }),
    database: frozen(new DatabaseOptions(), {
      ...(settings.databaseUrl === undefined ? {} : { url: settings.databaseUrl }),
      ...(settings.databaseOwnerUrl === undefined ? {} : { ownerUrl: settings.databaseOwnerUrl }),
      embeddedFolder: path.join(settings.dataDir, 'postgres'),
      poolSize: settings.databasePool,
      connectTimeoutMs: settings.databaseConnectMs,
      statementTimeoutMs: settings.databaseStatementMs,
      requireSeparateRoles: settings.environment === 'production',
    }),
  };
}

function modelOptions(settings: Settings): Pick<ApiConfig, 'inference' | 'registry' | 'onnx' | 'prediction'> {
  return {
    inference: frozen(new InferenceOptions(), {
      runnerPath: path.resolve(__dirname, '../runner/main.js'),
      workFolder: path.join(settings.dataDir, 'runners'),
      runners: settings.runners,
      spareRunners: settings.spareRunners,
      batchBudgetMs: settings.batchBudgetMs,
      preparedFolder: path.join(settings.dataDir, 'prepared'),
      preparedBytes: settings.preparedBytes,
      queueRequests: settings.queueRequests,
      queueWaitMs: settings.queueWaitMs,
      runnerMemoryBytes: settings.runnerMemoryMib * MEBIBYTE,
      runnerGroups: settings.runnerGroups,
      trialMemoryBytes: settings.trialMemoryMib * MEBIBYTE,
    }),
    registry: frozen(new RegistryOptions(), {
      artifactFolder: path.join(settings.dataDir, 'artifacts'),
      ...(settings.s3Bucket === undefined ? {} : { artifactBucket: settings.s3Bucket }),
      artifactPrefix: settings.artifactPrefix,
      artifactCopyBytes: settings.artifactCopyBytes,
      artifactBytes: settings.artifactBytes,
      files: settings.packageFiles,
      importFolders: [...settings.importFolders],
      signaturePolicy: settings.signaturePolicy,
      trustedKeys: [...settings.trustedKeys],
      validationMs: settings.validationSeconds * 1000,
      uploadKeepMs: settings.uploadHours * 3_600_000,
      scrubBytesPerSecond: settings.scrubBytesPerSecond,
      keepPredictedDays: settings.keepPredictedDays,
    }),
    onnx: frozen(new OnnxLimits(), {
      fileBytes: settings.modelFileBytes,
      nodes: settings.modelNodes,
      subgraphDepth: settings.modelSubgraphDepth,
      tensorBytes: settings.modelTensorBytes,
    }),
    prediction: frozen(new PredictionOptions(), {
      devicePolicy: settings.devicePolicy,
      modelMemoryBytes: Math.floor(settings.modelMemory / settings.workers),
      modelIdleMs: settings.modelIdleSeconds * 1000,
      keepLoaded: settings.keepLoaded,
      awaitingRequests: settings.queueRequests,
    }),
  };
}

function sourceOptions(settings: Settings): SourceOptions {
  const given = {
    mlflowUri: settings.mlflowUri,
    mlflowUsername: settings.mlflowUsername,
    mlflowPassword: settings.mlflowPassword,
    mlflowToken: settings.mlflowToken,
    s3Endpoint: settings.s3Endpoint,
    s3Region: settings.s3Region,
    s3AccessKeyId: settings.s3AccessKeyId,
    s3SecretAccessKey: settings.s3SecretAccessKey,
    s3SessionToken: settings.s3SessionToken,
  };
  return frozen(new SourceOptions(), {
    ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
    hosts: [...settings.importHosts],
    importMs: settings.importSeconds * 1000,
  });
}

function frozen<T extends object>(defaults: T, given: Partial<T>): T {
  return Object.freeze(Object.assign(defaults, given));
}

/** What the library's own rules say against the options that were made for it. */
function problemsOf(options: object): string[] {
  return validateSync(options).map(
    ({ property, constraints }) =>
      `${options.constructor.name}.${property}: ${Object.values(constraints ?? {}).join('; ')}`,
  );
}
