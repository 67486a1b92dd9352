import { hasNaN, numberAt, type Tensor } from '@sibyl/protocol';
import type { Golden, GoldenMiss, GoldenSample, Tolerance } from './golden';

/** What a replay came to: all misses counted, the first of them listed, and the largest difference of a number within tolerance. */
export interface GoldenResult {
  /** Samples that had an output to compare. */
  readonly compared: number;
  readonly skipped: number;
  readonly missCount: number;
  readonly misses: readonly GoldenMiss[];
  readonly largestDifference: number;
}

/** Compares what the model answered with what its training library had answered, element by element. */
export function compareGolden(golden: Golden, answers: readonly (readonly Tensor[])[], listed: number): GoldenResult {
  const comparison = new Comparison(golden.tolerance, listed);
  golden.samples.forEach((sample, i) => comparison.sample(sample, answers[i] ?? []));
  const compared = golden.samples.filter((sample) => sample.outputs.length > 0).length;
  return {
    compared,
    skipped: golden.samples.length - compared + golden.skipped,
    missCount: comparison.missCount,
    misses: comparison.misses,
    largestDifference: comparison.largestDifference,
  };
}

class Comparison {
  readonly misses: GoldenMiss[] = [];
  missCount = 0;
  largestDifference = 0;

  constructor(
    private readonly tolerance: Tolerance,
    private readonly listed: number,
  ) {}

  sample(sample: GoldenSample, answer: readonly Tensor[]): void {
    for (const expected of sample.outputs) {
      const got = answer.find((tensor) => tensor.name === expected.name);
      if (got && got.datatype === expected.datatype && sameShape(got.shape, expected.shape))
        this.elements(sample.index, expected, got);
      else
        this.miss({
          sample: sample.index,
          tensor: expected.name,
          expected: summary(expected),
          got: got ? summary(got) : 'nothing',
        });
    }
  }

  private elements(sample: number, expected: Tensor, got: Tensor): void {
    const floating = hasNaN(expected.datatype);
    for (let i = 0; i < expected.data.length; i++) {
      if (expected.data[i] === got.data[i]) continue;
      if (!floating) {
        this.miss({ sample, tensor: expected.name, index: i, expected: text(expected, i), got: text(got, i) });
        continue;
      }
      const a = numberAt(expected, i);
      const b = numberAt(got, i);
      if (Object.is(a, b)) continue;
      const difference = Math.abs(a - b);
      // An infinity that was expected would widen its own tolerance to anything.
      if (Number.isFinite(difference) && difference <= this.tolerance.atol + this.tolerance.rtol * Math.abs(a)) {
        this.largestDifference = Math.max(this.largestDifference, difference);
        continue;
      }
      const finite = Number.isFinite(difference) ? { difference } : {};
      this.miss({ sample, tensor: expected.name, index: i, expected: String(a), got: String(b), ...finite });
    }
  }

  private miss(miss: GoldenMiss): void {
    this.missCount++;
    if (this.misses.length < this.listed) this.misses.push(miss);
  }
}

function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((size, i) => size === b[i]);
}

function summary(tensor: Tensor): string {
  return `${tensor.datatype} [${tensor.shape.join(',')}]`;
}

function text(tensor: Tensor, index: number): string {
  return String(tensor.data[index]).slice(0, 100);
}
