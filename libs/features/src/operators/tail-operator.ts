// Hot: runs for every feature of every read that is not in a cache.
import type { OperatorOutput } from '../definitions/feature-view';
import type { Series } from '../engine/series';
import { setNothing } from './computed';
import type { CompiledOperator, Computed } from './operator';

/** Computes from the events of `[from, series.end)`. */
type TailFold = (series: Series, from: number, out: Computed) => void;

/**
 * An operator over the last `history` events, however many there are: never over more, so that the value does not depend on how
 * much of the past happens to be at hand.
 */
export function tailOperator(outputs: readonly OperatorOutput[], history: number, fold: TailFold): CompiledOperator {
  return {
    outputs,
    history,
    span: 0,
    timed: false,
    compute(series, _at, out) {
      const from = series.end - history;
      if (from >= series.start) fold(series, from, out);
      else if (series.cut) setNothing(out, 'INVALID');
      else fold(series, series.start, out);
    },
  };
}
