import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import { CollectedMetric, histogramSamples, type Sample } from './collected-metric';
import { DURATION_BUCKETS, FixedHistogram } from './fixed-histogram';

/** What a loaded model tells of itself when a scraper comes. */
export interface ModelReading {
  readonly model: string;
  readonly version: string;
  readonly memoryBytes: number;
  readonly queueDepth: number;
  /** Part of its graph that each execution provider computes. */
  readonly providerShares: Readonly<Record<string, number>>;
  /** It stands in for a version that its registry does not have. */
  readonly standIn: boolean;
}

/** What a GPU tells; a member is absent where it does not. */
export interface GpuSample {
  readonly index: number;
  readonly uuid: string;
  readonly utilization?: number;
  readonly memoryUsedBytes?: number;
  readonly memoryTotalBytes?: number;
  readonly temperatureCelsius?: number;
  readonly powerWatts?: number;
}

/** Numbers that other parts hold already; read when a scraper comes. */
export interface Readings {
  readonly loadedModels: () => readonly ModelReading[];
  /** Loaded versions that the signature policy would not let load again. */
  readonly untrustedModels: () => readonly Pick<ModelReading, 'model' | 'version'>[];
  readonly activeKeys: () => number;
  /** Events that are durable in the spool and not yet in the database. */
  readonly spoolBacklog: () => number;
  /** Stored packages that were damaged when they were last read. */
  readonly damagedArtifacts: () => number;
  readonly gpus: () => Promise<readonly GpuSample[]>;
}

const BATCH_BUCKETS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096, 10_000];
const LOAD_BUCKETS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120];

const GPU_GAUGES = [
  ['sibyl_gpu_utilization_ratio', 'Part of the last moment in which the GPU computed', 'utilization'],
  ['sibyl_gpu_memory_used_bytes', 'Memory of the GPU that is in use', 'memoryUsedBytes'],
  ['sibyl_gpu_memory_total_bytes', 'Memory of the GPU', 'memoryTotalBytes'],
  ['sibyl_gpu_temperature_celsius', 'Temperature of the GPU', 'temperatureCelsius'],
  ['sibyl_gpu_power_watts', 'Power that the GPU draws', 'powerWatts'],
] as const;

/** Everything of the server that is neither one request nor one prediction. */
export class ServerMetrics {
  readonly authRefusals: Counter<'code'>;
  readonly rateLimited: Counter;
  /** Requests to public routes: they leave no event, so this is their only account. */
  readonly publicRequests: Counter;
  /** Connections that did not speak HTTP, by what was wrong with them. */
  readonly brokenRequests: Counter<'code'>;
  readonly runnerLosses: Counter<'reason'>;
  readonly modelLoadSeconds: Histogram<'model' | 'version'>;
  readonly modelSyncs: Counter<'model' | 'outcome'>;
  readonly batchSize = new FixedHistogram(BATCH_BUCKETS);
  readonly auditCommitSeconds = new FixedHistogram(DURATION_BUCKETS);

  /** Plain numbers: every prediction adds to them. */
  private readonly events = { succeeded: 0, denied: 0, failed: 0 };

  constructor(private readonly registry: Registry) {
    const registers = [registry];
    this.authRefusals = new Counter({
      name: 'sibyl_auth_refusals_total',
      help: 'Requests refused by the gate, by error code',
      labelNames: ['code'],
      registers,
    });
    this.rateLimited = new Counter({
      name: 'sibyl_rate_limited_total',
      help: 'Requests refused by a limit',
      registers,
    });
    this.publicRequests = new Counter({
      name: 'sibyl_public_requests_total',
      help: 'Requests to public routes, which leave no audit event',
      registers,
    });
    this.brokenRequests = new Counter({
      name: 'sibyl_broken_requests_total',
      help: 'Requests that could not be read as HTTP, which leave no audit event',
      labelNames: ['code'],
      registers,
    });
    this.modelSyncs = new Counter({
      name: 'sibyl_model_syncs_total',
      help: 'Looks at the MLflow registry that a model follows: unchanged, imported, refused or failed',
      labelNames: ['model', 'outcome'],
      registers,
    });
    this.runnerLosses = new Counter({
      name: 'sibyl_runner_losses_total',
      help: 'Runners that ended without being asked to: crashed, overran, memory (its limit), protocol',
      labelNames: ['reason'],
      registers,
    });
    this.modelLoadSeconds = new Histogram({
      name: 'sibyl_model_load_duration_seconds',
      help: 'Time from the decision to load a version until it was warm',
      labelNames: ['model', 'version'],
      buckets: LOAD_BUCKETS,
      registers,
    });
    this.collect('sibyl_inference_batch_size', 'Rows that one run of a model took', this.batchSize);
    this.collect('sibyl_audit_commit_duration_seconds', 'Time until an event was durable', this.auditCommitSeconds);
    new CollectedMetric({ name: 'sibyl_audit_events_total', help: 'Audit events by outcome', type: 'counter' }, () =>
      Object.entries(this.events).map(([outcome, value]) => ({ labels: { outcome }, value })),
    ).registerIn(registry);
  }

  countEvent(outcome: 'succeeded' | 'denied' | 'failed'): void {
    this.events[outcome]++;
  }

  /** Declares the gauges whose numbers other parts hold. Called once, by the composition root. */
  read(readings: Readings): void {
    const registers = [this.registry];
    const gauge = (name: string, help: string, value: () => number, aggregator: 'sum' | 'max' = 'sum'): void => {
      new Gauge({
        name,
        help,
        registers,
        aggregator,
        collect(): void {
          this.set(value());
        },
      });
    };
    gauge('sibyl_active_keys', 'API keys that are neither expired nor revoked', readings.activeKeys, 'max');
    gauge(
      'sibyl_audit_spool_backlog',
      'Events in the local spool that are not in the database yet',
      readings.spoolBacklog,
    );
    gauge('sibyl_models_loaded', 'Model versions that are loaded', () => readings.loadedModels().length, 'max');
    gauge(
      'sibyl_damaged_artifacts',
      'Stored packages that were damaged when they were last read',
      readings.damagedArtifacts,
      'max',
    );
    this.readModels(readings);
    this.perGpu(readings.gpus);
  }

  /** Called once, by the composition root. */
  readOperations(running: () => number): void {
    const name = 'sibyl_operations_running';
    const help = 'Operations under way: training sets, backfills, loads and the like';
    new CollectedMetric({ name, help, type: 'gauge' }, () => [{ labels: {}, value: running() }]).registerIn(
      this.registry,
    );
  }

  private readModels(readings: Readings): void {
    this.perModel('sibyl_model_memory_bytes', 'Memory of a loaded version, in all runners together', () =>
      readings
        .loadedModels()
        .map(({ model, version, memoryBytes }) => ({ labels: { model, version }, value: memoryBytes })),
    );
    this.perModel(
      'sibyl_model_signature_untrusted',
      '1 for a loaded version whose signer is trusted no more: it serves on, but would not load again',
      () => readings.untrustedModels().map(({ model, version }) => ({ labels: { model, version }, value: 1 })),
      'max',
    );
    this.perModel('sibyl_inference_queue_depth', 'Requests that wait for a runner', () =>
      readings
        .loadedModels()
        .map(({ model, version, queueDepth }) => ({ labels: { model, version }, value: queueDepth })),
    );
    this.perModel(
      'sibyl_model_degraded',
      'Versions that serve in place of one that the registry they follow does not have',
      () =>
        readings
          .loadedModels()
          .filter(({ standIn }) => standIn)
          .map(({ model, version }) => ({ labels: { model, version }, value: 1 })),
      'max',
    );
    this.perModel(
      'sibyl_model_provider_ratio',
      'Part of the graph of a version that an execution provider computes',
      () =>
        readings.loadedModels().flatMap(({ model, version, providerShares }) =>
          Object.entries(providerShares).map(([provider, value]) => ({
            labels: { model, version, provider },
            value,
          })),
        ),
      'max',
    );
  }

  private perGpu(gpus: Readings['gpus']): void {
    for (const [name, help, member] of GPU_GAUGES) {
      // All workers see the same device.
      new CollectedMetric({ name, help, type: 'gauge', aggregator: 'max' }, async () =>
        (await gpus()).flatMap(({ index, uuid, [member]: value }) =>
          value === undefined ? [] : [{ labels: { gpu: index, uuid }, value }],
        ),
      ).registerIn(this.registry);
    }
  }

  private perModel(name: string, help: string, samples: () => Sample[], aggregator: 'sum' | 'max' = 'sum'): void {
    new CollectedMetric({ name, help, type: 'gauge', aggregator }, samples).registerIn(this.registry);
  }

  private collect(name: string, help: string, histogram: FixedHistogram): void {
    new CollectedMetric({ name, help, type: 'histogram' }, () => histogramSamples(name, {}, histogram)).registerIn(
      this.registry,
    );
  }
}
