import type { Tensor } from '@sibyl/protocol';

/** Samples with the answers that the training library gave, replayed before a version may serve. */
export interface Golden {
  readonly source?: string;
  readonly tolerance: Tolerance;
  readonly samples: readonly GoldenSample[];
  /** Samples that hold no tensors to compare, as those of language models; their own library replays them. */
  readonly skipped: number;
}

/** An answer is right when |got - expected| <= atol + rtol * |expected|; integers and strings are compared exactly. */
export interface Tolerance {
  readonly rtol: number;
  readonly atol: number;
}

export interface GoldenSample {
  /** Place in golden.json. */
  readonly index: number;
  /** In the order of the model's inputs. */
  readonly inputs: readonly Tensor[];
  readonly outputs: readonly Tensor[];
}

/** One element that differs; a whole tensor that is missing or of another shape has no index. */
export interface GoldenMiss {
  readonly sample: number;
  readonly tensor: string;
  readonly index?: number;
  readonly expected: string;
  readonly got: string;
  readonly difference?: number;
}
