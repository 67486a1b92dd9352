/** Hot path. See docs/paths/predict.md. */
import type { Registry } from 'prom-client';
import { CollectedMetric, histogramSamples, type Labels, type Sample } from './collected-metric';
import { FixedHistogram } from './fixed-histogram';

/** Parts of a prediction that are timed one by one. */
export const STAGES = ['features', 'queue', 'inference', 'audit'] as const;
export type Stage = (typeof STAGES)[number];

/** Probabilities and scores: even steps in 0 to 1, a few powers of ten around it. */
const VALUE_BUCKETS = [-100, -10, -1, 0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 10, 100, 1000];

/** Labels of one version that are counted by name; those past it are counted as `other`, so that series stay few. */
const LABELS = 64;
/** Versions with series of their own; those past it share one, so that a scrape stays readable. */
const VERSIONS = 512;

/** The counters of one model version. Kept beside the version, so that a prediction looks nothing up. */
export class VersionMetrics {
  succeeded = 0;
  denied = 0;
  failed = 0;
  readonly duration = new FixedHistogram();
  readonly features = new FixedHistogram();
  readonly queue = new FixedHistogram();
  readonly inference = new FixedHistogram();
  readonly audit = new FixedHistogram();
  readonly value = new FixedHistogram(VALUE_BUCKETS);
  readonly labels = new Map<string, number>();

  constructor(
    readonly model: string,
    readonly version: string,
  ) {}

  /** One answered prediction; `rows` predictions were in it. */
  succeed(seconds: number, rows = 1): void {
    this.succeeded += rows;
    this.duration.observe(seconds);
  }

  fail(outcome: 'denied' | 'failed', rows = 1): void {
    this[outcome] += rows;
  }

  countLabel(label: string): void {
    const count = this.labels.get(label);
    if (count !== undefined) this.labels.set(label, count + 1);
    else this.countNewLabel(label);
  }

  private countNewLabel(label: string): void {
    const name = this.labels.size < LABELS && label.length <= 64 ? label : 'other';
    this.labels.set(name, (this.labels.get(name) ?? 0) + 1);
  }
}

/** `sibyl_predictions_total`, `sibyl_prediction_*`: plain numbers per version, read when a scraper comes. */
export class PredictionMetrics {
  private readonly versions = new Map<string, VersionMetrics>();
  private readonly overflow = new VersionMetrics('other', 'other');

  constructor(registry: Registry) {
    new CollectedMetric(
      { name: 'sibyl_predictions_total', help: 'Predictions by model version and outcome', type: 'counter' },
      () => this.all().flatMap(outcomes),
    ).registerIn(registry);
    this.histogram(
      registry,
      'sibyl_prediction_duration_seconds',
      'Whole time of answered predict requests',
      'duration',
    );
    for (const stage of STAGES) {
      this.histogram(
        registry,
        `sibyl_prediction_${stage}_duration_seconds`,
        `Time predictions spent in: ${stage}`,
        stage,
      );
    }
    this.histogram(
      registry,
      'sibyl_prediction_value',
      'Predicted values, or probabilities of the predicted class',
      'value',
    );
    new CollectedMetric(
      { name: 'sibyl_prediction_label_total', help: 'Predictions of classifiers by label', type: 'counter' },
      () => this.all().flatMap(labels),
    ).registerIn(registry);
  }

  /** The counters of a version: always the same object, made at the first call. Only versions of the registry belong here. */
  of(model: string, version: string): VersionMetrics {
    const key = `${model}\n${version}`;
    const known = this.versions.get(key);
    if (known) return known;
    if (this.versions.size >= VERSIONS) return this.overflow;
    const made = new VersionMetrics(model, version);
    this.versions.set(key, made);
    return made;
  }

  /** Ends the series of a version that no longer serves. */
  forget(model: string, version: string): void {
    this.versions.delete(`${model}\n${version}`);
  }

  private all(): VersionMetrics[] {
    const all = [...this.versions.values()];
    return this.overflow.succeeded + this.overflow.failed + this.overflow.denied > 0 ? [...all, this.overflow] : all;
  }

  private histogram(registry: Registry, name: string, help: string, part: 'duration' | 'value' | Stage): void {
    new CollectedMetric({ name, help, type: 'histogram' }, () =>
      this.all()
        .filter((version) => version[part].count > 0)
        .flatMap((version) => histogramSamples(name, labelsOf(version), version[part])),
    ).registerIn(registry);
  }
}

function labelsOf(version: VersionMetrics): Labels {
  return { model: version.model, version: version.version };
}

function outcomes(version: VersionMetrics): Sample[] {
  return (['succeeded', 'denied', 'failed'] as const).map((outcome) => ({
    labels: { ...labelsOf(version), outcome },
    value: version[outcome],
  }));
}

function labels(version: VersionMetrics): Sample[] {
  return Array.from(version.labels, ([label, value]) => ({ labels: { ...labelsOf(version), label }, value }));
}
