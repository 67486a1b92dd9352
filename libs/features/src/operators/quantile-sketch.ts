/** Bins of one sign that a sketch has at most; 16 KiB. */
const MAX_BINS = 4096;
const SPARE_BINS = 8;
const NO_COUNTS = new Uint32Array(0);
const SKETCH_BYTES = 240;

/** Counts by whole number, over a range of them that moves up: below the `MAX_BINS` highest, all count as the lowest of these. */
class Bins {
  /** The number of the first of `counts`. */
  first = 0;
  counts = NO_COUNTS;

  add(bin: number, count: number): void {
    const place = bin - this.first;
    if (place >= 0 && place < this.counts.length) this.counts[place] = (this.counts[place] ?? 0) + count;
    else this.cover(bin, count);
  }

  merge(other: Bins): void {
    for (let place = other.counts.length - 1; place >= 0; place--) {
      const count = other.counts[place] ?? 0;
      if (count > 0) this.add(other.first + place, count);
    }
  }

  clear(): void {
    this.counts = NO_COUNTS;
  }

  /** Bin and count in turns, of bins that are not empty. */
  get parts(): readonly number[] {
    const parts: number[] = [];
    for (let place = 0; place < this.counts.length; place++) {
      const count = this.counts[place] ?? 0;
      if (count > 0) parts.push(this.first + place, count);
    }
    return parts;
  }

  /** From the highest down, so that the range is the one that it was. */
  take(parts: readonly number[]): number {
    let taken = 0;
    for (let i = parts.length - 2; i >= 0; i -= 2) {
      const count = parts[i + 1] ?? 0;
      this.add(parts[i] ?? 0, count);
      taken += count;
    }
    return taken;
  }

  /** Makes room for a bin outside the range, or adds to the lowest one where the range is as long as it may be. */
  private cover(bin: number, count: number): void {
    const { counts } = this;
    const empty = counts.length === 0;
    const first = empty ? bin : this.first;
    const end = empty ? bin : first + counts.length;
    const newEnd = bin < end ? end : bin + SPARE_BINS;
    const newFirst = Math.max(bin < first ? bin - SPARE_BINS : first, newEnd - MAX_BINS);
    if (empty || newFirst !== first || newEnd !== end) {
      const wider = new Uint32Array(newEnd - newFirst);
      for (let place = 0; place < counts.length; place++) {
        const target = Math.max(first + place - newFirst, 0);
        wider[target] = (wider[target] ?? 0) + (counts[place] ?? 0);
      }
      this.first = newFirst;
      this.counts = wider;
    }
    const place = Math.max(bin - this.first, 0);
    this.counts[place] = (this.counts[place] ?? 0) + count;
  }
}

/** What a sketch counted, as it may be sent elsewhere. Without numbers `least` and `greatest` mean nothing. */
export interface SketchParts {
  readonly least: number | null;
  readonly greatest: number | null;
  readonly zeros: number;
  readonly above: readonly number[];
  readonly below: readonly number[];
}

/**
 * Quantiles of numbers that were only counted, in bins whose borders grow by one factor: DDSketch (Masson, Rim and Lee, 2019). What
 * it says is within `relativeError` of the value that has the rank, whatever the numbers are, as long as the greatest is less
 * than about e^(8192 * relativeError) times the least of its sign (7e17 at 0.005); less than that counts as that. Sketches of the
 * same error are merged without loss.
 */
export class QuantileSketch {
  count = 0;
  private least = Number.POSITIVE_INFINITY;
  private greatest = Number.NEGATIVE_INFINITY;
  private zeros = 0;
  private readonly above = new Bins();
  private readonly below = new Bins();
  private readonly growth: number;
  private readonly logGrowth: number;

  constructor(relativeError: number) {
    this.growth = (1 + relativeError) / (1 - relativeError);
    this.logGrowth = Math.log(this.growth);
  }

  add(value: number, times = 1): void {
    this.count += times;
    if (value < this.least) this.least = value;
    if (value > this.greatest) this.greatest = value;
    if (value > 0) this.above.add(this.binOf(value), times);
    else if (value < 0) this.below.add(this.binOf(-value), times);
    else this.zeros += times;
  }

  merge(other: QuantileSketch): void {
    this.count += other.count;
    if (other.least < this.least) this.least = other.least;
    if (other.greatest > this.greatest) this.greatest = other.greatest;
    this.zeros += other.zeros;
    this.above.merge(other.above);
    this.below.merge(other.below);
  }

  get parts(): SketchParts {
    const { least, greatest, zeros, above, below } = this;
    return { least, greatest, zeros, above: above.parts, below: below.parts };
  }

  /** Counts what another sketch of the same error counted. */
  take({ least, greatest, zeros, above, below }: SketchParts): void {
    const count = zeros + this.above.take(above) + this.below.take(below);
    if (count === 0) return;
    this.count += count;
    this.zeros += zeros;
    this.least = Math.min(this.least, least ?? Number.POSITIVE_INFINITY);
    this.greatest = Math.max(this.greatest, greatest ?? Number.NEGATIVE_INFINITY);
  }

  clear(): void {
    this.count = 0;
    this.least = Number.POSITIVE_INFINITY;
    this.greatest = Number.NEGATIVE_INFINITY;
    this.zeros = 0;
    this.above.clear();
    this.below.clear();
  }

  /** As `quantileOf`: in proportion between two ranks. */
  quantile(q: number): number {
    return this.between(q, (rank) => this.atRank(rank));
  }

  /** As `quantile`, where what a bin has counted is taken as spread evenly over it: nearly exact where it is, within two errors where not. */
  spreadQuantile(q: number): number {
    return this.between(q, (rank) => this.spreadAtRank(rank));
  }

  /** About how many are at most this: of the bin that it cuts the part that lies below. */
  spreadUpTo(value: number): number {
    if (value >= this.greatest) return this.count;
    if (value < this.least) return 0;
    let before = 0;
    for (const { low, high, count } of this.spans()) {
      if (value < low) break;
      before += value >= high ? count : (count * (value - low)) / (high - low);
    }
    return before;
  }

  get min(): number {
    return this.least;
  }

  get max(): number {
    return this.greatest;
  }

  get bytes(): number {
    return SKETCH_BYTES + 4 * (this.above.counts.length + this.below.counts.length);
  }

  private between(q: number, atRank: (rank: number) => number): number {
    const place = q * (this.count - 1);
    const rank = Math.floor(place);
    const lower = atRank(rank);
    const share = place - rank;
    return share === 0 ? lower : lower + share * (atRank(rank + 1) - lower);
  }

  private spreadAtRank(rank: number): number {
    if (rank <= 0) return this.least;
    if (rank >= this.count - 1) return this.greatest;
    let left = rank;
    for (const { low, high, count } of this.spans()) {
      if (left < count) return low + ((left + 0.5) / count) * (high - low);
      left -= count;
    }
    return this.greatest;
  }

  /** Bins that are not empty from the least up, cut where the least and the greatest lie. */
  private *spans(): Generator<{ readonly low: number; readonly high: number; readonly count: number }> {
    const within = (value: number): number => Math.min(Math.max(value, this.least), this.greatest);
    const cut = (low: number, high: number, count: number) => ({ low: within(low), high: within(high), count });
    for (let place = this.below.counts.length - 1; place >= 0; place--) {
      const [bin, count] = [this.below.first + place, this.below.counts[place] ?? 0];
      if (count > 0) yield cut(-this.endOf(bin), -this.endOf(bin - 1), count);
    }
    if (this.zeros > 0) yield { low: 0, high: 0, count: this.zeros };
    for (let place = 0; place < this.above.counts.length; place++) {
      const [bin, count] = [this.above.first + place, this.above.counts[place] ?? 0];
      if (count > 0) yield cut(this.endOf(bin - 1), this.endOf(bin), count);
    }
  }

  private atRank(rank: number): number {
    if (rank <= 0) return this.least;
    if (rank >= this.count - 1) return this.greatest;
    return Math.min(Math.max(this.middleAtRank(rank), this.least), this.greatest);
  }

  private middleAtRank(rank: number): number {
    let left = rank;
    for (let place = this.below.counts.length - 1; place >= 0; place--) {
      left -= this.below.counts[place] ?? 0;
      if (left < 0) return -this.middleOf(this.below.first + place);
    }
    left -= this.zeros;
    if (left < 0) return 0;
    for (let place = 0; place < this.above.counts.length; place++) {
      left -= this.above.counts[place] ?? 0;
      if (left < 0) return this.middleOf(this.above.first + place);
    }
    return this.greatest;
  }

  private binOf(magnitude: number): number {
    // An infinity has no bin; the extremes still tell of it.
    return Math.ceil(Math.log(Math.min(magnitude, Number.MAX_VALUE)) / this.logGrowth);
  }

  private endOf(bin: number): number {
    return Math.exp(bin * this.logGrowth);
  }

  /** The value of bin (growth^(bin - 1), growth^bin] from which both borders are equally far in proportion. */
  private middleOf(bin: number): number {
    return (2 * Math.exp(bin * this.logGrowth)) / (this.growth + 1);
  }
}
