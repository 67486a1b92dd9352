import { allocate, elementCount, firstRow, sameRows, stackRows, type Tensor } from '@sibyl/protocol';
import type { ServedVersion } from './served-version';

/** Batch sizes that the runtime prepares for: the first run of a size is many times slower than the next. */
const BUCKETS = [1, 8, 32];
/** Of a version whose rows do not run together. */
const MOST_SAMPLES = 3;

/** Runs before a version takes traffic. */
export interface Warmup {
  readonly runs: readonly (readonly Tensor[])[];
  /** Made up of zeros, which are no input to many a model: one that it cannot run says nothing against it. */
  readonly isGuess: boolean;
}

/** Golden samples in every batch size, or zeros where there are none or the manifest wants none. */
export function warmupOf(served: ServedVersion, samples: readonly (readonly Tensor[])[]): Warmup {
  const [first] = samples;
  if (first === undefined || served.facts.manifest.runtime?.warmup === false) return zeros(served);
  if (!served.batchable || !samples.every(hasRows)) return { runs: samples.slice(0, MOST_SAMPLES), isGuess: false };
  const rows = samples.filter((sample) => sameRows(first, sample)).map((sample) => sample.map(firstRow));
  const runs = BUCKETS.map((count) =>
    first.map((_, input) => {
      const repeated = Array.from({ length: count }, (__, i) => rows[i % rows.length]?.[input]);
      return stackRows(repeated as [Tensor, ...Tensor[]]);
    }),
  );
  return { runs, isGuess: false };
}

function hasRows(sample: readonly Tensor[]): boolean {
  return sample.every(({ shape }) => (shape[0] ?? 0) > 0);
}

function zeros({ contract, batchable }: ServedVersion): Warmup {
  const runs = (batchable ? BUCKETS : [1]).map((count) =>
    contract.inputs.map((input) => {
      // A dimension of unknown size is tried with one element.
      const shape = (input.shape ?? []).map((size, axis) => (size >= 0 ? size : axis === 0 ? count : 1));
      return { name: input.name, datatype: input.datatype, shape, data: allocate(input.datatype, elementCount(shape)) };
    }),
  );
  return { runs, isGuess: true };
}
