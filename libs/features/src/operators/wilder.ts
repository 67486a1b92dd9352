// Hot: runs for every feature of every read that is not in a cache.
import { MISSING, isMissing, numbersOf } from './columns';
import { setNumber, setWarmingUp } from './computed';
import type { Operator } from './operator';
import { oneOutput, RECURSION, RequestReader } from './request-reader';
import { tailOperator } from './tail-operator';

/** Events after which what Wilder's average over `period` began with weighs less than 1e-16: ln(1e16) = 37 for each period. */
export function wilderHistory(period: number): number {
  return 38 * period;
}

/**
 * Wilder's moving average, as TA-Lib smooths in RSI and ATR: w = (w (period - 1) + x) / period, begun with the mean of the first
 * `period` values. Needs `period` values. Nulls are passed over. Of the last 38 period events.
 */
export const wilder: Operator = {
  name: 'wilder',
  inputs: ['input'],
  params: ['period', ...RECURSION],
  compile(request) {
    const reader = new RequestReader(wilder, request);
    reader.withoutWindow();
    const column = reader.numeric(0);
    const period = reader.whole('period', { min: 1, max: 10_000 });
    const history = reader.recursion(wilderHistory(period), period, 'period');
    return tailOperator(oneOutput('double'), history, (series, from, out) => {
      const numbers = numbersOf(series, column);
      const { end } = series;
      // `period` times the average: see `strength` of rsi.ts.
      const decay = (period - 1) / period;
      let kept = 1;
      let have = 0;
      let sum = 0;
      for (let index = from; index < end; index++) {
        const value = numbers[index] ?? MISSING;
        if (isMissing(value)) continue;
        sum = sum * kept + value;
        if (++have === period) kept = decay;
      }
      if (have < period) setWarmingUp(out, have, period);
      else setNumber(out, sum / period);
    });
  },
};
