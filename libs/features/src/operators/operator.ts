import type { FieldDefinition, OperatorOutput, OperatorParams, Window } from '../definitions/feature-view';
import type { Series } from '../engine/series';
import type { FeatureValue, ValueStatus } from '../feature-value';
import type { Micros } from '../time';

/** What a definition asks of an operator, checked by `Operator.compile`. */
export interface OperatorRequest {
  readonly inputs: readonly { readonly index: number; readonly field: FieldDefinition }[];
  readonly window?: Window;
  readonly tile?: Micros;
  readonly params: OperatorParams;
}

export class OperatorFault extends Error {
  constructor(
    /** The member of the feature that is wrong: `window`, `tile`, `input`, or the name of a parameter. */
    readonly member: string,
    message: string,
  ) {
    super(message);
  }
}

/** What an operator comes to: one value an output, or why there is none. */
export interface Computed {
  /** All null unless `status` is PRESENT. */
  readonly values: FeatureValue[];
  /** PRESENT, NULL, WARMING_UP, NON_FINITE, or INVALID where the window holds more events than are kept. */
  status: ValueStatus;
  /** For WARMING_UP: events that are there and that are needed. */
  have: number;
  need: number;
}

/**
 * One operator with its parameters. A pure function of the events that count and the moment: it keeps nothing between calls,
 * so that values in memory, from the log and in training sets cannot differ.
 */
export interface CompiledOperator {
  readonly outputs: readonly OperatorOutput[];
  /** Events at the end of the series that the value may depend on; 0 where a window by time says it. */
  readonly history: number;
  /** The window by time; 0 for operators by count. */
  readonly span: Micros;
  /** Changes with each moment, also while the same events count and lie in its window. */
  readonly timed: boolean;
  /**
   * Writes what it comes to into `out`, which is made once (`computed`) and used again. `keep` is the `where` of the feature.
   * With `tile` it folds the whole window, so that `tiles` and `compute` come to the same. Not to be called from `keep`.
   */
  compute(series: Series, at: Micros, out: Computed, keep?: (index: number) => boolean): void;
  /** Present where the definition has `tile`. */
  readonly tiles?: TileFold;
}

/** A sum over one tile, and how sums are joined; what is kept of long windows instead of their events. */
export interface TileFold {
  /** Microseconds; tiles begin at multiples of it since 1970 UTC. */
  readonly tile: Micros;
  readonly span: Micros;
  empty(): unknown;
  /** Adds the event at `index`: changes `sum` where it is an object, and returns what to keep. */
  add(sum: unknown, series: Series, index: number): unknown;
  /**
   * Sums oldest first, of the tiles from the one that holds `at - span` to the one that holds `at`, the last one with events up
   * to `at` only. Empty tiles may be left out. Changes none of them.
   */
  finish(sums: readonly unknown[], at: Micros, out: Computed): void;
  /** For the memory budget. */
  bytes(sum: unknown): number;
}

/** An operator of the catalogue: its name, what it takes, and how it is compiled. */
export interface Operator {
  readonly name: string;
  /** What the inputs are, in their order: `input` for one that takes one series; `high`, `low`, `close`; none for `count`. */
  readonly inputs: readonly string[];
  /** Names of the parameters that it knows; `compile` refuses others. */
  readonly params: readonly string[];
  /** Throws `OperatorFault` with what was expected and what came. */
  compile(request: OperatorRequest): CompiledOperator;
}
