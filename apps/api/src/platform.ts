import path from 'node:path';
import { AuditLog, AuditTrail, auditMigrations, type RecordChange } from '@sibyl/audit';
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
import { GpuMeter, OnnxRuntime } from '@sibyl/inference';
import { SystemClock, systemActor, UuidV7Source, type Actor, type Clock, type IdSource } from '@sibyl/kernel';
import { ManifestDefaults, ModelReconciler, PayloadDigest, PredictionService, Promotion } from '@sibyl/prediction';
import { ModelRegistry, REGISTRY_CHANNEL, registryMigrations } from '@sibyl/registry';
import { Metrics, type Logger } from '@sibyl/telemetry';
import type { ApiConfig } from '../config';
import { BatchObserver } from './batch-observer';
import { LocalServing } from './models/local-serving';
import { Underway } from './predict/underway';
import { loadSecrets, type Secrets } from './secrets';

/** What every other part is made with. */
interface Foundation {
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
export interface Platform extends Foundation, Audit, Auth, Models {
  readonly database: Database;
  readonly gpus: GpuMeter;
  /** Registers what the operator named and loads what should serve; the server listens already. */
  serveModels(): Promise<void>;
  close(): Promise<void>;
}

/** Starts the parts in the order in which they need each other. What fails here ends the start. */
export async function startPlatform(config: ApiConfig, log: Logger): Promise<Platform> {
  const clock = new SystemClock();
  const ids = new UuidV7Source(clock);
  const metrics = new Metrics();
  const secrets = loadSecrets(config.dataDir);
  const foundation: Foundation = { config, log, clock, ids, metrics, secrets };
  const observer = new BatchObserver(metrics);
  const runtime = new OnnxRuntime({ options: config.inference, clock, log, observer, sealKey: secrets.preparedKey });
  // Runners and the database take a fraction of a second each, and do not need each other.
  const runtimeStart = runtime.start();
  runtimeStart.catch(() => undefined);
  const migrations = [...auditMigrations, ...authMigrations, ...registryMigrations];
  const database = await Database.start({ ...config.database, migrations }, log);
  const audit = await startAudit(foundation, database);
  const auth = await startAuth(foundation, database, audit);
  const models = await startModels(foundation, database, runtime);
  const gpus = new GpuMeter(clock);
  declareReadings(metrics, { ...models, ...auth, ...audit, gpus });
  return {
    ...foundation,
    ...audit,
    ...auth,
    ...models,
    database,
    gpus,
    async serveModels() {
      await runtimeStart;
      await registerNamedModels(foundation, models.registry, audit.trail);
      await models.reconciler.start();
    },
    async close() {
      models.stop();
      await Promise.all([runtime.close(), auth.idempotency.stop(), auth.keyUsage.stop(), auth.keySnapshot.stop()]);
      await audit.trail.close();
      await database.close();
      metrics.close();
    },
  };
}

async function startAudit({ config, log, clock, ids, secrets }: Foundation, database: Database) {
  const underway = new Underway();
  const { payloadKey } = secrets;
  const folder = path.join(config.dataDir, 'audit');
  const trailParts = { folder, database, payloadKey, clock, ids, log, expecting: () => underway.count };
  const trail = new AuditTrail(trailParts, config.audit);
  await trail.start();
  return { underway, trail, auditLog: new AuditLog({ database, trail, payloadKeys: [payloadKey] }) };
}

async function startAuth(foundation: Foundation, database: Database, { trail }: Audit) {
  const { config, log, clock, ids, secrets } = foundation;
  const digest = new KeyDigest(secrets.pepper);
  const store = new KeyStore(digest, ids, clock);
  const keySnapshot = new KeySnapshot(database, clock, config.auth, log);
  const keyUsage = new KeyUsage(database, clock, config.auth, log);
  await Promise.all([keySnapshot.start(), keyUsage.start()]);
  const adminKey = new AdminKey({ database, store, digest, snapshot: keySnapshot, clock, log });
  const adminKeyFile = path.join(config.dataDir, 'admin-key');
  const record = systemRecord(trail, systemActor('bootstrap'), foundation);
  await adminKey.ensure({ presetKey: config.adminKey, file: adminKeyFile }, record);
  const idempotency = new IdempotencyStore(database, new AnswerSeal(secrets.answerKey), config.auth, log);
  idempotency.start();
  const gate = new Gate(keySnapshot, digest, keyUsage, clock, config.auth);
  const apiKeys = new ApiKeys({ database, store, snapshot: keySnapshot, usage: keyUsage, clock }, config.auth);
  return { gate, apiKeys, keySnapshot, keyUsage, idempotency, adminKeyFile };
}

async function startModels(foundation: Foundation, database: Database, runtime: OnnxRuntime) {
  const { config, log, clock, ids, secrets } = foundation;
  const registry: ModelRegistry = new ModelRegistry({
    database,
    runtime,
    clock,
    ids,
    options: config.registry,
    onnxLimits: config.onnx,
    onChange: () => reconciler.follow(),
  });
  await registry.start();
  const reconciler = new ModelReconciler({ source: registry, runtime, clock, options: config.prediction, log });
  const promotion = new Promotion(registry.aliases, reconciler, clock, config.prediction);
  const serving = new LocalServing(reconciler, promotion, clock, config.prediction.prewarmLimitMs);
  const ignoreRegistry = await database.listen(REGISTRY_CHANNEL, () => void reconciler.follow());
  return {
    runtime,
    registry,
    reconciler,
    serving,
    predictions: new PredictionService(reconciler, new ManifestDefaults(), clock),
    payloadDigest: new PayloadDigest(secrets.digestKey),
    stop: () => {
      reconciler.stop();
      ignoreRegistry();
    },
  };
}

async function registerNamedModels(foundation: Foundation, registry: ModelRegistry, trail: AuditTrail): Promise<void> {
  const actor = systemActor('start');
  const record = systemRecord(trail, actor, foundation);
  for (const { uri, outcome, error } of await registry.registerAtStart(actor, foundation.config.models, record)) {
    if (outcome !== 'failed') continue;
    foundation.log.error({ uri, err: error }, 'a package of SIBYL_MODELS could not be registered');
  }
}

/** Records what the server does by itself. */
function systemRecord(trail: AuditTrail, actor: Actor, { clock, ids }: Foundation): RecordChange {
  return (tx, change) =>
    trail.commitInTransaction(tx, {
      ...change,
      outcome: (change.status ?? 200) < 400 ? 'succeeded' : 'failed',
      status: change.status ?? 200,
      actor,
      ip: '',
      requestId: ids.next(),
      occurredAtMs: clock.now(),
      durationMs: 0,
    });
}

type Read = Pick<Models, 'serving'> & Pick<Auth, 'keySnapshot'> & Pick<Audit, 'trail'> & Pick<Platform, 'gpus'>;

function declareReadings(metrics: Metrics, { serving, keySnapshot, trail, gpus }: Read): void {
  metrics.server.read({
    loadedModels: () => serving.loadedModels(),
    activeKeys: () => keySnapshot.status().activeKeys,
    spoolBacklog: () => trail.status().backlogEvents,
    gpus: () => gpus.read(),
  });
}
