import type { InferenceObserver, RunnerLoss } from '@sibyl/inference';
import type { Metrics, VersionMetrics } from '@sibyl/telemetry';

/** Hot path. Carries what the runtime sees into the metrics; keys of models are `<name>@<version>@<digest>`. */
export class BatchObserver implements InferenceObserver {
  private readonly versions = new Map<string, VersionMetrics>();

  constructor(private readonly metrics: Metrics) {}

  onBatch(key: string, rows: number, queueMs: number, runMs: number): void {
    this.metrics.server.batchSize.observe(rows);
    const version = this.of(key);
    version.queue.observe(queueMs / 1000);
    version.inference.observe(runMs / 1000);
  }

  onModelLoaded(key: string, loadMs: number): void {
    const { model, version } = this.of(key);
    this.metrics.server.modelLoadSeconds.observe({ model, version }, loadMs / 1000);
  }

  onModelUnloaded(key: string): void {
    this.versions.delete(key);
  }

  onDropped(): void {
    // A request that was dropped is counted by its status.
  }

  onRunnerLost(reason: RunnerLoss): void {
    this.metrics.server.runnerLosses.inc({ reason });
  }

  onRunnerReady(): void {
    // The runtime's status has the restarts of each runner.
  }

  private of(key: string): VersionMetrics {
    const known = this.versions.get(key);
    if (known) return known;
    // Names hold no `@`.
    const [model = '', version = ''] = key.split('@');
    const made = this.metrics.predictions.of(model, version);
    this.versions.set(key, made);
    return made;
  }
}
