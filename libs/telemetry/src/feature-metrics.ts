/** Hot path: every prediction with features of a set adds to these. */
import { Counter, type Registry } from 'prom-client';
import { CollectedMetric, histogramSamples } from './collected-metric';
import { FixedHistogram } from './fixed-histogram';

/** Seconds: from ticks to features that change once a month. */
const AGE_BUCKETS = [0.01, 0.1, 0.5, 1, 5, 15, 30, 60, 120, 300, 900, 3600, 21_600, 86_400, 604_800, 2_592_000];
/** Features with an age of their own; those past it share one, so that a scrape stays readable. */
const FEATURES = 1024;

/** What states of features in memory come to; read when a scraper comes. */
export interface FeatureReadings {
  readonly entities: () => number;
  readonly bytes: () => number;
}

/** `sibyl_feature_*`, and what OpenLineage is told. */
export class FeatureMetrics {
  readonly featureEvents: Counter<'stream' | 'result'>;
  readonly lineageEvents: Counter<'outcome'>;
  private readonly cache = new Map<string, { tier: string; result: string; count: number }>();
  private readonly statuses = new Map<string, number>();
  private readonly ages = new Map<string, { view: string; feature: string; histogram: FixedHistogram }>();

  constructor(private readonly registry: Registry) {
    const registers = [registry];
    this.featureEvents = new Counter({
      name: 'sibyl_feature_events_total',
      help: 'Events of features that were pushed, by stream and what became of them',
      labelNames: ['stream', 'result'],
      registers,
    });
    this.lineageEvents = new Counter({
      name: 'sibyl_lineage_events_total',
      help: 'Publications and promotions that an OpenLineage server was to be told of: sent, failed, or dropped because too many waited',
      labelNames: ['outcome'],
      registers,
    });
    this.collect('sibyl_feature_cache_requests_total', 'Looks into caches of features, by tier and result', () =>
      Array.from(this.cache.values(), ({ tier, result, count }) => ({ labels: { tier, result }, value: count })),
    );
    this.collect(
      'sibyl_feature_status_total',
      'Values of features that were served to models and readers, by status; of large reads a sample stands for all',
      () => Array.from(this.statuses, ([status, value]) => ({ labels: { status }, value })),
    );
    const name = 'sibyl_feature_age_seconds';
    new CollectedMetric({ name, help: 'Age of the event behind a value when it was served', type: 'histogram' }, () =>
      [...this.ages.values()].flatMap(({ view, feature, histogram }) =>
        histogramSamples(name, { view, feature }, histogram),
      ),
    ).registerIn(registry);
  }

  countCache(tier: string, result: string, times: number): void {
    const key = `${tier} ${result}`;
    const line = this.cache.get(key);
    if (line) line.count += times;
    else this.cache.set(key, { tier, result, count: times });
  }

  countStatus(status: string, values: number): void {
    this.statuses.set(status, (this.statuses.get(status) ?? 0) + values);
  }

  /** Always the same object for a feature: kept by whoever feeds it. */
  ageOf(view: string, feature: string): FixedHistogram {
    const known = this.ages.get(`${view}:${feature}`);
    if (known) return known.histogram;
    const named = this.ages.size < FEATURES ? { view, feature } : { view: 'other', feature: 'other' };
    const key = `${named.view}:${named.feature}`;
    const made = this.ages.get(key)?.histogram ?? new FixedHistogram(AGE_BUCKETS);
    this.ages.set(key, { ...named, histogram: made });
    return made;
  }

  /** Declares the gauges whose numbers other parts hold. Called once, by the composition root. */
  read({ entities, bytes }: FeatureReadings): void {
    this.gauge('sibyl_feature_state_entities', 'Entity states in memory', entities);
    this.gauge('sibyl_feature_state_bytes', 'Memory of entity states', bytes);
  }

  private gauge(name: string, help: string, value: () => number): void {
    new CollectedMetric({ name, help, type: 'gauge' }, () => [{ labels: {}, value: value() }]).registerIn(
      this.registry,
    );
  }

  private collect(name: string, help: string, samples: ConstructorParameters<typeof CollectedMetric>[1]): void {
    new CollectedMetric({ name, help, type: 'counter' }, samples).registerIn(this.registry);
  }
}
