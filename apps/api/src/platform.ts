import path from 'node:path';
import { AuditLog, AuditTrail, auditMigrations } from '@sibyl/audit';
import {
  AdminKey,
  AnswerSeal,
  ApiKeys,
  authMigrations,
  Gate,
  IdempotencyStore,
  KeyDigest,
  KeySnapshot,
  KeyStore,
  KeyUsage,
} from '@sibyl/auth';
import { Database } from '@sibyl/database';
import { featureMigrations } from '@sibyl/features';
import { GpuMeter, OnnxRuntime } from '@sibyl/inference';
import { SystemClock, systemActor, UuidV7Source, type Clock, type IdSource } from '@sibyl/kernel';
import { ModelReconciler, PayloadDigest, PredictionService, Promotion } from '@sibyl/prediction';
import { ModelRegistry, REGISTRY_CHANNEL, registryMigrations, type MlflowSync } from '@sibyl/registry';
import { Metrics, type Logger } from '@sibyl/telemetry';
import type { ApiConfig } from '../config';
import { lastPrediction } from './audit/last-prediction';
import { BatchObserver } from './batch-observer';
import { startFeatures, type Features } from './features/feature-parts';
import { startLineage, startLineageFeed, type LineageStarted } from './features/lineage-parts';
import { LocalServing } from './models/local-serving';
import { ModelSources } from './models/model-sources';
import type { Serving } from './models/serving';
import { Underway } from './front/underway';
import { SignatureWatch } from './models/signature-watch';
import { TeamServing } from './models/team-serving';
import { loadSecrets, type Secrets } from './secrets';
import { systemRecord } from './system-record';
import { elsewhere, flushAll, joinTeam, keysChanged, registryChanged } from './workers/team';
import { NoSiblings, type Siblings } from './workers/siblings';

/** What every other part is made with. */
interface Foundation {
  readonly siblings: Siblings;
  readonly config: ApiConfig;
  readonly log: Logger;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly metrics: Metrics;
  readonly secrets: Secrets;
}

type Audit = Awaited<ReturnType<typeof startAudit>>;
type Auth = Awaited<ReturnType<typeof startAuth>>;
type Models = Awaited<ReturnType<typeof startModels>>;

/** Everything below HTTP, put together: the parts list of the server. */
export interface Platform extends Foundation, Audit, Auth, Models, Features, LineageStarted {
  readonly database: Database;
  readonly gpus: GpuMeter;
  /** Registers what the operator named; the server listens already. */
  registerModels(): Promise<void>;
  /** Loads what should serve. */
  serveModels(): Promise<void>;
  close(): Promise<void>;
}

/** Starts the parts in the order in which they need each other. What fails here ends the start. */
export async function startPlatform(
  config: ApiConfig,
  log: Logger,
  siblings: Siblings = new NoSiblings(),
): Promise<Platform> {
  const foundation = layFoundation(config, log, siblings);
  const { clock, metrics, secrets } = foundation;
  const runtime = new OnnxRuntime({
    options: config.inference,
    clock,
    log,
    observer: new BatchObserver(metrics),
    sealKey: secrets.preparedKey,
  });
  // Runners and the database take a fraction of a second each, and do not need each other.
  const runtimeStart = runtime.start();
  runtimeStart.catch(() => undefined);
  const database = await startDatabase(foundation, siblings.count > 1);
  const audit = await startAudit(foundation, database);
  const auth = await startAuth(foundation, database, audit);
  const features = await startFeatures(foundation, { database, ...audit });
  const feed = startLineageFeed(foundation);
  const models = await startModels(foundation, { database, ...audit, ...features, ...feed }, runtime);
  const lineage = { ...feed, ...startLineage({ ...foundation, ...features, registry: models.registry }) };
  const sync = startSync(foundation, models, audit.trail);
  const gpus = new GpuMeter(clock);
  declareReadings(metrics, { ...auth, ...audit, ...models, serving: models.localServing, gpus });
  joinTeam({ ...foundation, ...audit, ...auth, ...models });
  return {
    ...foundation,
    ...audit,
    ...auth,
    ...models,
    ...features,
    ...lineage,
    database,
    gpus,
    async registerModels() {
      await runtimeStart;
      await models.sources.register();
    },
    async serveModels() {
      await runtimeStart;
      await models.reconciler.start();
      await features.featureReader.prepare(models.reconciler.table);
      models.signatureWatch.start();
      sync.start();
    },
    async close() {
      models.stop();
      await Promise.all([models.scrubber.stop(), sync.stop(), features.stopFeatures(), lineage.lineageFeed.stop()]);
      await Promise.all([runtime.close(), auth.idempotency.stop(), auth.keyUsage.stop(), auth.keySnapshot.stop()]);
      await audit.trail.close();
      await database.close();
      metrics.close();
    },
  };
}

/** What the primary of several workers does before it starts them, so that they find everything there. */
export async function prepareInstallation(config: ApiConfig, log: Logger): Promise<void> {
  const foundation = layFoundation(config, log, new NoSiblings());
  const database = await startDatabase(foundation, true);
  try {
    const trail = makeTrail(foundation, database, new Underway());
    await trail.startForChanges();
    const digest = new KeyDigest(foundation.secrets.pepper);
    const store = new KeyStore(digest, foundation.ids, foundation.clock);
    // Nobody asks this process for keys.
    await ensureAdminKey(foundation, { database, store, digest, trail, snapshot: { apply: () => undefined } });
    await trail.close();
  } finally {
    await database.close();
    foundation.metrics.close();
  }
}

function layFoundation(config: ApiConfig, log: Logger, siblings: Siblings): Foundation {
  const clock = new SystemClock();
  const ids = new UuidV7Source(clock);
  return { config, log, clock, ids, siblings, metrics: new Metrics(), secrets: loadSecrets(config.dataDir) };
}

function startDatabase({ config, log }: Foundation, joinEmbedded: boolean): Promise<Database> {
  const migrations = [...auditMigrations, ...authMigrations, ...registryMigrations, ...featureMigrations];
  return Database.start({ ...config.database, migrations, joinEmbedded }, log);
}

function makeTrail(foundation: Foundation, database: Database, underway: Underway): AuditTrail {
  const { config, log, clock, ids, secrets, siblings } = foundation;
  const folder = path.join(config.dataDir, 'audit');
  const expecting = (): number => underway.count;
  const adopts = siblings.index === 1;
  const { payloadKey } = secrets;
  return new AuditTrail({ folder, database, payloadKey, clock, ids, log, expecting, adopts }, config.audit);
}

async function startAudit(foundation: Foundation, database: Database) {
  const underway = new Underway();
  const trail = makeTrail(foundation, database, underway);
  await trail.start();
  const all = { flush: () => flushAll(trail, foundation.siblings) };
  const payloadKeys = [foundation.secrets.payloadKey];
  return { underway, trail, auditLog: new AuditLog({ database, trail: all, payloadKeys }) };
}

interface KeyParts {
  readonly database: Database;
  readonly store: KeyStore;
  readonly digest: KeyDigest;
  readonly trail: AuditTrail;
  readonly snapshot: Pick<KeySnapshot, 'apply'>;
}

async function ensureAdminKey(foundation: Foundation, { trail, ...parts }: KeyParts): Promise<void> {
  const { config, clock, log } = foundation;
  const record = systemRecord(trail, systemActor('bootstrap'), foundation);
  await new AdminKey({ ...parts, clock, log }).ensure(
    { presetKey: config.adminKey, file: adminKeyFileOf(config) },
    record,
  );
}

export function adminKeyFileOf({ dataDir }: Pick<ApiConfig, 'dataDir'>): string {
  return path.join(dataDir, 'admin-key');
}

async function startAuth(foundation: Foundation, database: Database, { trail }: Audit) {
  const { config, log, clock, ids, secrets, siblings } = foundation;
  const digest = new KeyDigest(secrets.pepper);
  const store = new KeyStore(digest, ids, clock);
  const keySnapshot = new KeySnapshot(database, clock, config.auth, log);
  const keyUsage = new KeyUsage(database, clock, config.auth, log);
  await Promise.all([keySnapshot.start(), keyUsage.start()]);
  if (siblings.count === 1) await ensureAdminKey(foundation, { database, store, digest, trail, snapshot: keySnapshot });
  const idempotency = new IdempotencyStore(database, new AnswerSeal(secrets.answerKey), config.auth, log);
  idempotency.start();
  const gate = new Gate(keySnapshot, digest, keyUsage, clock, config.auth);
  const onChange = (): Promise<void> => keysChanged(siblings);
  const apiKeys = new ApiKeys(
    { database, store, snapshot: keySnapshot, usage: keyUsage, clock, onChange },
    config.auth,
  );
  return { gate, apiKeys, keySnapshot, keyUsage, idempotency };
}

type ModelHost = { readonly database: Database } & Audit & Features & ReturnType<typeof startLineageFeed>;

async function startModels(
  foundation: Foundation,
  { database, trail, auditLog, featureReader, featurePins, aliasMoved: moved }: ModelHost,
  runtime: OnnxRuntime,
) {
  const { config, log, clock, ids, secrets, siblings } = foundation;
  const registry: ModelRegistry = new ModelRegistry({
    ...{ database, runtime, clock, ids },
    ...{ options: config.registry, onnxLimits: config.onnx },
    proof: (model, version) => auditLog.traceOf(model, version),
    lastPrediction: (model, version, fromMs) => lastPrediction(auditLog, { model, version, fromMs }),
    loaded: () => reconciler.loadedDigests(),
    featureSets: (needs, name) => featurePins.find(needs, name),
    sourceOptions: config.sources,
    onChange: async () => {
      await Promise.all([reconciler.follow(), registryChanged(siblings)]);
    },
  });
  await registry.start();
  const scrubber = registry.scrubber({ log, record: systemRecord(trail, systemActor('scrubber'), foundation) });
  // One of several workers reads for all of them.
  if (siblings.index === 1) scrubber.start();
  const reconciler = new ModelReconciler({ source: registry, runtime, clock, options: config.prediction, log });
  const { prewarmLimitMs } = config.prediction;
  const record = systemRecord(trail, systemActor('policy'), foundation);
  // What is not archived now is archived after the next promotion.
  const promoted = (model: string): Promise<void> =>
    registry
      .retire(model, record)
      .catch((error: unknown) => log.warn({ model, err: error }, 'old versions could not be archived'));
  const others = elsewhere(siblings, prewarmLimitMs);
  const promotion = new Promotion(registry.aliases, reconciler, others, config.prediction, featureReader);
  const localServing = new LocalServing(reconciler, promotion, clock, prewarmLimitMs, { promoted, moved });
  const serving: Serving =
    siblings.count === 1 ? localServing : new TeamServing(localServing, siblings, prewarmLimitMs);
  const signatureWatch = new SignatureWatch({ reconciler, registry, log });
  const ignoreRegistry = await database.listen(REGISTRY_CHANNEL, () => void reconciler.follow());
  return {
    runtime,
    registry,
    scrubber,
    sources: new ModelSources({ registry, trail, clock, ids, log, uris: config.models }),
    reconciler,
    promotion,
    serving,
    localServing,
    signatureWatch,
    predictions: new PredictionService(reconciler, featureReader, clock, config.prediction),
    payloadDigest: new PayloadDigest(secrets.digestKey),
    stop: () => {
      reconciler.stop();
      signatureWatch.stop();
      ignoreRegistry();
    },
  };
}

function startSync(foundation: Foundation, { registry, serving }: Models, trail: AuditTrail): MlflowSync {
  const { log, metrics } = foundation;
  const record = systemRecord(trail, systemActor('mlflow-sync'), foundation);
  return registry.mlflowSync({
    record,
    log,
    promote: (actor, move) => serving.promote(actor, move, record),
    onResult: (model, outcome) => metrics.server.modelSyncs.inc({ model, outcome }),
  });
}

type Read = { readonly serving: LocalServing } & Pick<Models, 'signatureWatch' | 'scrubber'> &
  Pick<Auth, 'keySnapshot'> &
  Pick<Audit, 'trail'> &
  Pick<Platform, 'gpus'>;

function declareReadings(
  metrics: Metrics,
  { serving, signatureWatch, scrubber, keySnapshot, trail, gpus }: Read,
): void {
  metrics.server.read({
    loadedModels: () => serving.loadedModels(),
    untrustedModels: () => signatureWatch.untrusted(),
    activeKeys: () => keySnapshot.status().activeKeys,
    spoolBacklog: () => trail.status().backlogEvents,
    damagedArtifacts: () => scrubber.damaged,
    gpus: () => gpus.read(),
  });
}
