/** Hot path: every prediction with features of a set adds to these. */
import { Counter, type Registry } from 'prom-client';
import { CollectedMetric, histogramSamples, type Sample } from './collected-metric';
import { FixedHistogram } from './fixed-histogram';

/** Seconds: from ticks to features that change once a month. */
const AGE_BUCKETS = [0.01, 0.1, 0.5, 1, 5, 15, 30, 60, 120, 300, 900, 3600, 21_600, 86_400, 604_800, 2_592_000];
/** Features with an age of their own; those past it share one, so that a scrape stays readable. */
const FEATURES = 1024;

/** Seconds: from one commit to a follower that was away. */
const VISIBLE_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/** How often one rule did not hold. */
interface RuleReading {
  readonly name: { readonly view: string; readonly target: string; readonly rule: string; readonly action: string };
  readonly violations: number;
}

/** What states of features in memory come to, and the rules that did not hold; read when a scraper comes. */
export interface FeatureReadings {
  readonly entities: () => number;
  readonly bytes: () => number;
  readonly rules: () => readonly RuleReading[];
}

/** `sibyl_feature_*`, and what OpenLineage is told. */
export class FeatureMetrics {
  readonly featureEvents: Counter<'stream' | 'result'>;
  readonly lineageEvents: Counter<'outcome'>;
  /** From the stamp of an event in the log until this process serves it. */
  readonly pushToVisible = new FixedHistogram(VISIBLE_BUCKETS);
  /** Rules with a line of their own, in the order in which they first did not hold. */
  private readonly rules = new Set<string>();
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
    this.collectAges();
    const visible = 'sibyl_feature_push_to_visible_seconds';
    const help = 'Time from the arrival of an event in the log until this process serves it';
    new CollectedMetric({ name: visible, help, type: 'histogram' }, () =>
      histogramSamples(visible, {}, this.pushToVisible),
    ).registerIn(registry);
  }

  private collectAges(): void {
    const name = 'sibyl_feature_age_seconds';
    new CollectedMetric({ name, help: 'Age of the event behind a value when it was served', type: 'histogram' }, () =>
      [...this.ages.values()].flatMap(({ view, feature, histogram }) =>
        histogramSamples(name, { view, feature }, histogram),
      ),
    ).registerIn(this.registry);
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
  read({ entities, bytes, rules }: FeatureReadings): void {
    this.collect(
      'sibyl_feature_validation_total',
      'Times that an event or a value did not keep to a rule of its view, by the rule and what it then did: asked of each event that is pushed, and of a value when it is computed or given, not when it is served again',
      () => this.ruleSamples(rules()),
    );
    this.gauge('sibyl_feature_state_entities', 'Entity states in memory', entities);
    this.gauge('sibyl_feature_state_bytes', 'Memory of entity states', bytes);
  }

  /** Those past so many share a line, and stay there: no count ever falls. */
  private ruleSamples(rules: readonly RuleReading[]): Sample[] {
    const samples: Sample[] = [];
    let others = 0;
    for (const { name, violations } of rules) {
      const { view, target, rule, action } = name;
      const key = `${view} ${target} ${rule} ${action}`;
      if (this.rules.size < FEATURES) this.rules.add(key);
      if (this.rules.has(key)) samples.push({ labels: { view, target, rule, action }, value: violations });
      else others += violations;
    }
    const labels = { view: 'other', target: 'other', rule: 'other', action: 'other' };
    return others === 0 ? samples : [...samples, { labels, value: others }];
  }

  private gauge(name: string, help: string, value: () => number): void {
    new CollectedMetric({ name, help, type: 'gauge' }, () => [{ labels: {}, value: value() }]).registerIn(
      this.registry,
    );
  }

  private collect(name: string, help: string, samples: () => Sample[]): void {
    new CollectedMetric({ name, help, type: 'counter' }, samples).registerIn(this.registry);
  }
}
