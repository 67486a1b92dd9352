// Hot: runs for every feature of every read that is not in a cache.
import { MISSING, isMissing, numbersOf } from './columns';
import { setNumber, setWarmingUp } from './computed';
import type { Operator } from './operator';
import { oneOutput, RECURSION, RequestReader } from './request-reader';
import { tailOperator } from './tail-operator';

/** Events after which what an average over `period` began with weighs less than 1e-16: ln(1e16) / 2 = 18.4 for each period. */
function emaHistory(period: number): number {
  return Math.ceil(18.5 * (period + 1));
}

/**
 * Exponential moving average, TA-Lib's EMA: e = e + k (x - e), k = 2 / (period + 1), begun with the mean of the first `period`
 * values. Needs `period` values. Nulls are passed over. Of the last ceil(18.5 (period + 1)) events: what came before them would
 * change less than 1e-16 of the value.
 */
export const ema: Operator = {
  name: 'ema',
  inputs: ['input'],
  params: ['period', ...RECURSION],
  compile(request) {
    const reader = new RequestReader(ema, request);
    reader.withoutWindow();
    const column = reader.numeric(0);
    const period = reader.whole('period', { min: 2, max: 10_000 });
    const k = 2 / (period + 1);
    const history = reader.recursion(emaHistory(period), period, 'period');
    return tailOperator(oneOutput('double'), history, (series, from, out) => {
      const numbers = numbersOf(series, column);
      const { end } = series;
      let have = 0;
      let average = 0;
      let index = from;
      for (; index < end && have < period; index++) {
        const value = numbers[index] ?? MISSING;
        if (isMissing(value)) continue;
        average += value;
        have++;
      }
      if (have < period) return setWarmingUp(out, have, period);
      average /= period;
      for (; index < end; index++) {
        const value = numbers[index] ?? MISSING;
        if (!isMissing(value)) average += (value - average) * k;
      }
      setNumber(out, average);
    });
  },
};
