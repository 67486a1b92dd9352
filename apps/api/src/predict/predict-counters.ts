/** Hot path. See docs/paths/predict.md. */
import type { ServedVersion } from '@sibyl/prediction';
import type { Metrics, VersionMetrics } from '@sibyl/telemetry';

/** The counters of versions, found without putting a name together for each prediction. */
export class PredictCounters {
  private readonly versions = new WeakMap<ServedVersion, VersionMetrics>();

  constructor(private readonly metrics: Metrics) {}

  of(served: ServedVersion): VersionMetrics {
    const known = this.versions.get(served);
    if (known !== undefined) return known;
    const made = this.metrics.predictions.of(served.model, served.version);
    this.versions.set(served, made);
    return made;
  }
}
