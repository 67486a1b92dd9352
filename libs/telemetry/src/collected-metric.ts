import type { Metric, MetricType, Registry } from 'prom-client';
import type { FixedHistogram } from './fixed-histogram';

export type Labels = Readonly<Record<string, string | number>>;

/** One line of the exposition. */
export interface Sample {
  readonly labels: Labels;
  readonly value: number;
  /** Where the line has a name of its own: `x_bucket`, `x_sum`, `x_count`. */
  readonly metricName?: string;
}

interface Declaration {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  /** What the numbers of several processes come to. */
  readonly aggregator?: 'sum' | 'max';
}

/**
 * A metric whose numbers lie elsewhere and are read when a scraper comes. prom-client's own metrics keep their numbers
 * by hashed labels; these are plain fields of the objects that count.
 */
export class CollectedMetric {
  readonly name: string;
  readonly help: string;
  readonly aggregator: 'sum' | 'max';
  readonly type: MetricType;

  constructor(
    private readonly declaration: Declaration,
    private readonly samples: () => Sample[] | Promise<Sample[]>,
  ) {
    this.name = declaration.name;
    this.help = declaration.help;
    this.aggregator = declaration.aggregator ?? 'sum';
    // prom-client reads the name of the type where it writes the line; its declared enum is of the same words.
    this.type = declaration.type as unknown as MetricType;
  }

  /** What prom-client's registry calls, for text and for JSON. */
  async get(): Promise<{ name: string; help: string; type: MetricType; aggregator: string; values: Sample[] }> {
    const { name, help } = this.declaration;
    return { name, help, type: this.type, aggregator: this.aggregator, values: await this.samples() };
  }

  /** Part of prom-client's interface; the numbers belong to others and stay. */
  reset(): void {}

  registerIn(registry: Registry): this {
    registry.registerMetric(this as unknown as Metric);
    return this;
  }
}

/** The lines of one histogram: cumulated buckets, sum and count. */
export function histogramSamples(name: string, labels: Labels, histogram: FixedHistogram): Sample[] {
  const samples: Sample[] = [];
  let below = 0;
  histogram.bounds.forEach((bound, bucket) => {
    below += histogram.counts[bucket] ?? 0;
    samples.push({ metricName: `${name}_bucket`, labels: { le: bound, ...labels }, value: below });
  });
  samples.push({ metricName: `${name}_bucket`, labels: { le: '+Inf', ...labels }, value: histogram.count });
  samples.push({ metricName: `${name}_sum`, labels, value: histogram.sum });
  samples.push({ metricName: `${name}_count`, labels, value: histogram.count });
  return samples;
}
