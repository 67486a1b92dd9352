// Hot: runs for every feature of every read that is not in a cache.
import type { Series } from '../engine/series';
import { MISSING, isMissing, numbersOf } from './columns';
import { setNumber, setWarmingUp } from './computed';
import type { Computed, Operator } from './operator';
import { oneOutput, RECURSION, RequestReader } from './request-reader';
import { tailOperator } from './tail-operator';
import { wilderHistory } from './wilder';

/** Below this TA-Lib takes a sum of averages to be nothing. */
const NOTHING = 1e-14;

/**
 * Relative strength index, TA-Lib's RSI: 100 G / (G + L), G and L being Wilder's averages of the gains and the losses from one
 * value to the next, begun with the means of the first `period` changes (14 unless given). Needs period + 1 values. Nulls are
 * passed over: the change is from the value before them. A flat series, G + L below 1e-14, is 0 as in TA-Lib, not 50.
 */
export const rsi: Operator = {
  name: 'rsi',
  inputs: ['input'],
  params: ['period', ...RECURSION],
  compile(request) {
    const reader = new RequestReader(rsi, request);
    reader.withoutWindow();
    const column = reader.numeric(0);
    const period = reader.whole('period', { min: 2, max: 10_000, fallback: 14 });
    const history = reader.recursion(wilderHistory(period), period + 1, 'period');
    return tailOperator(oneOutput('double'), history, (series, from, out) =>
      strength(numbersOf(series, column), from, series, period, out),
    );
  },
};

function strength(numbers: Float64Array, from: number, { end }: Series, period: number, out: Computed): void {
  // `period` times each average: one multiplication and one addition a step instead of three operations that wait for each
  // other, and the factor falls out of the quotient.
  const decay = (period - 1) / period;
  let kept = 1;
  let have = 0;
  let before = 0;
  let gains = 0;
  let losses = 0;
  for (let index = from; index < end; index++) {
    const value = numbers[index] ?? MISSING;
    if (isMissing(value)) continue;
    const change = have === 0 ? 0 : value - before;
    const gain = change > 0 ? change : 0;
    gains = gains * kept + gain;
    losses = losses * kept + (gain - change);
    before = value;
    if (have++ === period) kept = decay;
  }
  if (have <= period) return setWarmingUp(out, have, period + 1);
  const both = gains + losses;
  setNumber(out, both < NOTHING * period ? 0 : 100 * (gains / both));
}
