// Hot: runs for every feature of every read that is not in a cache.
import type { Series } from '../engine/series';
import { MISSING, isMissing, numbersOf } from './columns';
import { setWarmingUp, settle } from './computed';
import type { Computed, Operator } from './operator';
import { namedOutputs, RECURSION, RequestReader } from './request-reader';
import { tailOperator } from './tail-operator';

interface Periods {
  readonly fast: number;
  readonly slow: number;
  readonly signal: number;
}

/**
 * Moving average convergence and divergence, TA-Lib's MACD: `line` = EMA(fast) - EMA(slow), `signal` = EMA(signal) of the line,
 * `hist` = line - signal (12, 26, 9 unless given). Both averages begin on the same value, the one at which the slow one has its
 * first; the signal begins with the mean of the first `signal` values of the line. Needs slow + signal - 1 values, for all
 * three. Nulls are passed over.
 *
 * What an error of the line leaves in the signal dies away slower than in one average when the two periods are near each other,
 * hence 20.5 where an EMA has 18.5, after both have begun.
 */
export const macd: Operator = {
  name: 'macd',
  inputs: ['input'],
  params: ['fast', 'slow', 'signal', ...RECURSION],
  compile(request) {
    const reader = new RequestReader(macd, request);
    reader.withoutWindow();
    const column = reader.numeric(0);
    const fast = reader.whole('fast', { min: 2, max: 10_000, fallback: 12 });
    const slow = reader.whole('slow', { min: 2, max: 10_000, fallback: 26 });
    const signal = reader.whole('signal', { min: 1, max: 10_000, fallback: 9 });
    if (fast >= slow) throw reader.fault('fast', `needs 'fast' below 'slow', not ${fast} and ${slow}`);
    const needed = Math.ceil(20.5 * (Math.max(slow, signal) + 1)) + slow + signal;
    const history = reader.recursion(needed, slow + signal - 1, 'slow');
    const periods = { fast, slow, signal };
    return tailOperator(namedOutputs('line', 'signal', 'hist'), history, (series, from, out) =>
      converge(numbersOf(series, column), from, series, periods, out),
    );
  },
};

function converge(
  numbers: Float64Array,
  from: number,
  { end }: Series,
  { fast, slow, signal }: Periods,
  out: Computed,
): void {
  const fastK = 2 / (fast + 1);
  const slowK = 2 / (slow + 1);
  const signalK = 2 / (signal + 1);
  let have = 0;
  let quick = 0;
  let steady = 0;
  let line = 0;
  let average = 0;
  for (let index = from; index < end; index++) {
    const value = numbers[index] ?? MISSING;
    if (isMissing(value)) continue;
    have++;
    if (have <= slow) {
      steady += value;
      if (have > slow - fast) quick += value;
      if (have < slow) continue;
      steady /= slow;
      quick /= fast;
    } else {
      quick += (value - quick) * fastK;
      steady += (value - steady) * slowK;
    }
    line = quick - steady;
    if (have >= slow + signal) average += (line - average) * signalK;
    else {
      average += line;
      if (have === slow + signal - 1) average /= signal;
    }
  }
  if (have < slow + signal - 1) return setWarmingUp(out, have, slow + signal - 1);
  out.values[0] = line;
  out.values[1] = average;
  out.values[2] = line - average;
  settle(out);
}
