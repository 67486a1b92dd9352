import path from 'node:path';
import { AuditLog, AuditTrail, auditMigrations, type RecordChange } from '@sibyl/audit';
import { AdminKey, AnswerSeal, ApiKeys, authMigrations, Gate, IdempotencyStore, KeyDigest, KeySnapshot, KeyStore, KeyUsage } from '@sibyl/auth';
import { Database } from '@sibyl/database';
import { OnnxRuntime } from '@sibyl/inference';
import { SystemClock, systemActor, UuidV7Source, type Actor } from '@sibyl/kernel';
import { ManifestDefaults, ModelReconciler, PayloadDigest, PredictionService, Promotion } from '@sibyl/prediction';
import { ModelRegistry, REGISTRY_CHANNEL, registryMigrations } from '@sibyl/registry';
import { Metrics, type Logger } from '@sibyl/telemetry';
import type { ApiConfig } from '../config';
import { BatchObserver } from './batch-observer';
import { LocalServing } from './models/local-serving';
import { Underway } from './predict/underway';
import { loadSecrets } from './secrets';

/** Everything below HTTP, put together: the parts list of the server. */
export type Platform = Awaited<ReturnType<typeof startPlatform>>;

/** Starts the parts in the order in which they need each other. What fails here ends the start. */
export async function startPlatform(config: ApiConfig, log: Logger) {
  const clock = new SystemClock();
  const ids = new UuidV7Source(clock);
  const metrics = new Metrics();
  const secrets = loadSecrets(config.dataDir);
  const underway = new Underway();

  const runtime = new OnnxRuntime({ options: config.inference, clock, log, observer: new BatchObserver(metrics) });
  // Runners need a fraction of a second to start, and so does the database.
  const runtimeStart = runtime.start();
  runtimeStart.catch(() => undefined);
  const migrations = [...auditMigrations, ...authMigrations, ...registryMigrations];
  const database = await Database.start({ ...config.database, migrations }, log);

  const { payloadKey } = secrets;
  const trailParts = { folder: path.join(config.dataDir, 'audit'), database, payloadKey, clock, ids, log, expecting: () => underway.count };
  const trail = new AuditTrail(trailParts, config.audit);
  await trail.start();
  const auditLog = new AuditLog({ database, trail, payloadKeys: [payloadKey] });
  const record = systemRecord(trail, clock, ids);

  const keyDigest = new KeyDigest(secrets.pepper);
  const keyStore = new KeyStore(keyDigest, ids, clock);
  const keySnapshot = new KeySnapshot(database, clock, config.auth, log);
  const keyUsage = new KeyUsage(database, clock, config.auth, log);
  const gate = new Gate(keySnapshot, keyDigest, keyUsage, clock, config.auth);
  const apiKeys = new ApiKeys({ database, store: keyStore, snapshot: keySnapshot, usage: keyUsage, clock }, config.auth);
  const idempotency = new IdempotencyStore(database, new AnswerSeal(secrets.answerKey), config.auth, log);
  const adminKey = new AdminKey({ database, store: keyStore, digest: keyDigest, snapshot: keySnapshot, clock, log });
  await Promise.all([keySnapshot.start(), keyUsage.start()]);
  const adminKeyFile = path.join(config.dataDir, 'admin-key');
  await adminKey.ensure({ presetKey: config.adminKey, file: adminKeyFile }, record(systemActor('bootstrap')));
  idempotency.start();

  const registry = new ModelRegistry({ database, runtime, clock, ids, options: config.registry, onnxLimits: config.onnx });
  await registry.start();
  const reconciler = new ModelReconciler({ source: registry, runtime, clock, options: config.prediction, log });
  const promotion = new Promotion(registry.aliases, reconciler, clock, config.prediction);
  const serving = new LocalServing(reconciler, promotion, clock, config.prediction.prewarmLimitMs);
  const predictions = new PredictionService(reconciler, new ManifestDefaults(), clock);
  const payloadDigest = new PayloadDigest(secrets.digestKey);
  const ignoreRegistry = await database.listen(REGISTRY_CHANNEL, () => void reconciler.follow());
  declareReadings(metrics, { serving, keySnapshot, trail });

  return {
    ...{ clock, ids, metrics, log, underway, database, trail, auditLog, gate, apiKeys, keyUsage, idempotency, adminKeyFile },
    ...{ runtime, registry, reconciler, serving, predictions, payloadDigest },
    /** Registers what the operator named and loads what should serve; the server listens already. */
    async serveModels(): Promise<void> {
      await runtimeStart;
      const results = await registry.registerAtStart(systemActor('start'), config.models, record(systemActor('start')));
      for (const { uri, outcome, error } of results) {
        if (outcome === 'failed') log.error({ uri, err: error }, 'a package of SIBYL_MODELS could not be registered');
      }
      await reconciler.start();
    },
    /** Stops in the reverse order; what was acknowledged is on disk long before. */
    async close(): Promise<void> {
      reconciler.stop();
      ignoreRegistry();
      await Promise.all([runtime.close(), idempotency.stop(), keyUsage.stop(), keySnapshot.stop()]);
      await trail.close();
      await database.close();
      metrics.close();
    },
  };
}

/** The events of what the server does by itself. */
function systemRecord(trail: AuditTrail, clock: SystemClock, ids: UuidV7Source): (actor: Actor) => RecordChange {
  return (actor) => (tx, change) =>
    trail.commitInTransaction(tx, {
      ...change,
      outcome: 'succeeded',
      status: change.status ?? 200,
      actor,
      ip: '',
      requestId: ids.next(),
      occurredAtMs: clock.now(),
      durationMs: 0,
    });
}

interface Readable {
  readonly serving: LocalServing;
  readonly keySnapshot: KeySnapshot;
  readonly trail: AuditTrail;
}

function declareReadings(metrics: Metrics, { serving, keySnapshot, trail }: Readable): void {
  metrics.server.read({
    loadedModels: () =>
      serving
        .statuses()
        .filter(({ loaded }) => loaded)
        .map(({ model, version, memoryBytes, queueDepth }) => ({ model, version, memoryBytes: memoryBytes ?? 0, queueDepth: queueDepth ?? 0 })),
    activeKeys: () => keySnapshot.status().activeKeys,
    spoolBacklog: () => trail.status().backlogEvents,
  });
}
