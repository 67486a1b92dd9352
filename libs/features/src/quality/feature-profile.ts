// Hot: every value that is served may pass here.
import type { FeatureValue, ValueStatus } from '../feature-value';
import { QuantileSketch, type SketchParts } from '../operators/quantile-sketch';
import { MICROS_PER_SECOND, type Micros } from '../time';

const RELATIVE_ERROR = 0.01;
const BARS = 20;
export const QUANTILES = [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99] as const;

/** What a profile tells: numbers as they are, booleans as 0 and 1, of texts and lists their lengths. */
export interface ProfileSummary {
  readonly count: number;
  readonly statuses: Readonly<Partial<Record<ValueStatus, number>>>;
  /** Share of what has no value. */
  readonly nullRate: number;
  readonly min?: number;
  readonly max?: number;
  readonly mean?: number;
  /** In the order of QUANTILES. */
  readonly quantiles?: readonly number[];
  /** Bars of the same width from the least to the greatest. */
  readonly histogram?: { readonly edges: readonly number[]; readonly counts: readonly number[] };
}

/** Ages in seconds when the values were served. */
export interface AgeSummary {
  readonly count: number;
  readonly p50: number;
  readonly p95: number;
  readonly max: number;
}

/** A profile as it may be sent elsewhere. */
export interface ProfileParts {
  readonly count: number;
  readonly sum: number;
  readonly statuses: Readonly<Partial<Record<ValueStatus, number>>>;
  readonly values: SketchParts;
  readonly ages: SketchParts;
}

/** The distribution of one feature over some time. Merged without loss. */
export class FeatureProfile {
  count = 0;
  private sum = 0;
  private readonly statuses: Partial<Record<ValueStatus, number>> = {};
  private readonly values = new QuantileSketch(RELATIVE_ERROR);
  private readonly ages = new QuantileSketch(RELATIVE_ERROR);

  /** `age`: NaN where no event is behind the value. */
  add(value: FeatureValue, status: ValueStatus, age: Micros, times = 1): void {
    this.count += times;
    this.statuses[status] = (this.statuses[status] ?? 0) + times;
    if (!Number.isNaN(age)) this.ages.add(Math.max(0, age / MICROS_PER_SECOND), times);
    if (value === null) return;
    const number = sizeOf(value);
    this.sum += number * times;
    this.values.add(number, times);
  }

  merge(other: FeatureProfile): void {
    this.values.merge(other.values);
    this.ages.merge(other.ages);
    this.addCounts(other.count, other.sum, other.statuses);
  }

  get parts(): ProfileParts {
    const { count, sum, statuses, values, ages } = this;
    return { count, sum, statuses, values: values.parts, ages: ages.parts };
  }

  /** Merges a profile of another process. */
  take({ count, sum, statuses, values, ages }: ProfileParts): void {
    this.values.take(values);
    this.ages.take(ages);
    this.addCounts(count, sum, statuses);
  }

  private addCounts(count: number, sum: number, statuses: ProfileParts['statuses']): void {
    this.count += count;
    this.sum += sum;
    for (const [status, times] of Object.entries(statuses))
      this.statuses[status as ValueStatus] = (this.statuses[status as ValueStatus] ?? 0) + times;
  }

  get bytes(): number {
    return this.values.bytes + this.ages.bytes + 200;
  }

  summary(): ProfileSummary {
    const { count, statuses, values, sum } = this;
    const nullRate = count === 0 ? 0 : 1 - values.count / count;
    if (values.count === 0) return { count, statuses, nullRate };
    const { min, max } = values;
    return {
      ...{ count, statuses, nullRate, min, max, mean: sum / values.count },
      quantiles: QUANTILES.map((q) => values.spreadQuantile(q)),
      histogram: histogramOf(values),
    };
  }

  ageSummary(): AgeSummary | undefined {
    const { ages } = this;
    if (ages.count === 0) return undefined;
    return { count: ages.count, p50: ages.spreadQuantile(0.5), p95: ages.spreadQuantile(0.95), max: ages.max };
  }
}

function histogramOf(values: QuantileSketch): NonNullable<ProfileSummary['histogram']> {
  const { min, max } = values;
  if (!(max > min)) return { edges: [min, max], counts: [values.count] };
  const edges = Array.from({ length: BARS + 1 }, (_, i) => (i === BARS ? max : min + ((max - min) / BARS) * i));
  let before = 0;
  const counts = edges.slice(1).map((edge) => {
    const upTo = Math.round(values.spreadUpTo(edge));
    const count = upTo - before;
    before = upTo;
    return count;
  });
  return { edges, counts };
}

function sizeOf(value: NonNullable<FeatureValue>): number {
  if (typeof value === 'number') return value;
  if (typeof value === 'boolean') return value ? 1 : 0;
  return value.length;
}
