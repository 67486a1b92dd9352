// Hot: runs for every feature of every read that is not in a cache.
import type { Series } from '../engine/series';
import { MISSING, isMissing, numbersOf } from './columns';
import type { Computed } from './operator';
import type { Keep, TileSums } from './windowed-operator';

/**
 * Count, mean and spread of some numbers, as deviations from one of them (`pivot`): equal numbers then have a mean that is exactly
 * them and a spread of exactly 0, and numbers far from 0 lose nothing by it.
 */
export class Moments {
  count = 0;
  pivot = 0;
  /** Mean of the deviations from `pivot`. */
  offset = 0;
  /** Sum of the squares of the deviations from the mean. */
  squares = 0;
  /** The newest of the numbers. */
  newest = MISSING;

  get mean(): number {
    return this.pivot + this.offset;
  }

  /** Population variance, as TA-Lib's VAR; of a sample with `lost` = 1. NaN where there are too few numbers. */
  variance(lost: 0 | 1): number {
    return this.count > lost ? this.squares / (this.count - lost) : Number.NaN;
  }

  clear(): void {
    this.count = 0;
    this.squares = 0;
    this.newest = MISSING;
  }

  /** From the whole window, in two passes: nothing is carried from window to window that could drift. */
  measure(series: Series, column: number, from: number, keep: Keep | undefined): void {
    this.measureMean(series, column, from, keep);
    const numbers = numbersOf(series, column);
    const { pivot, offset } = this;
    const { end } = series;
    let squares = 0;
    for (let index = from; index < end; index++) {
      const value = numbers[index] ?? MISSING;
      if (isMissing(value) || (keep !== undefined && !keep(index))) continue;
      const deviation = value - pivot - offset;
      squares += deviation * deviation;
    }
    this.squares = squares;
  }

  /** All but the spread. */
  measureMean(series: Series, column: number, from: number, keep: Keep | undefined): void {
    const numbers = numbersOf(series, column);
    const { end } = series;
    let pivot = 0;
    let newest = MISSING;
    let count = 0;
    let sum = 0;
    for (let index = from; index < end; index++) {
      const value = numbers[index] ?? MISSING;
      if (isMissing(value) || (keep !== undefined && !keep(index))) continue;
      if (count === 0) pivot = value;
      sum += value - pivot;
      newest = value;
      count++;
    }
    this.count = count;
    this.pivot = pivot;
    this.offset = count === 0 ? 0 : sum / count;
    this.newest = newest;
  }

  /** Welford's update. */
  add(value: number): void {
    if (this.count === 0) {
      this.pivot = value;
      this.offset = 0;
    }
    this.count++;
    const before = value - this.pivot - this.offset;
    this.offset += before / this.count;
    this.squares += before * (value - this.pivot - this.offset);
    this.newest = value;
  }

  /** Chan's update: `other` is the newer of the two. */
  merge(other: Moments): void {
    if (other.count === 0) return;
    if (this.count === 0) {
      this.pivot = other.pivot;
      this.offset = 0;
    }
    const count = this.count + other.count;
    const apart = other.pivot - this.pivot + (other.offset - this.offset);
    this.squares += other.squares + (apart * apart * this.count * other.count) / count;
    this.offset += (apart * other.count) / count;
    this.count = count;
    this.newest = other.newest;
  }
}

/** Five numbers, and the object around them. */
const MOMENTS_BYTES = 72;

/** Tiles of `Moments`; `finish` is given what they come to together. */
export function momentsTiles(column: number, finish: (whole: Moments, out: Computed) => void): TileSums<Moments> {
  const whole = new Moments();
  return {
    empty: () => new Moments(),
    add(sum, series, index) {
      const value = numbersOf(series, column)[index] ?? MISSING;
      if (!isMissing(value)) sum.add(value);
      return sum;
    },
    finish(sums, out) {
      whole.clear();
      for (const sum of sums) whole.merge(sum);
      finish(whole, out);
    },
    bytes: () => MOMENTS_BYTES,
  };
}
