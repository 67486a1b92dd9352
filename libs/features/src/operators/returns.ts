import { MAX_SERIES_EVENTS } from '../engine/series';
import { MISSING, isMissing, numbersOf } from './columns';
import { setNothing, setNumber, setWarmingUp } from './computed';
import type { Operator } from './operator';
import { oneOutput, RequestReader } from './request-reader';
import { tailOperator } from './tail-operator';

/** How the newest value and the one `n` events before it are compared. */
function change(name: string, compare: (now: number, then: number) => number): Operator {
  const operator: Operator = {
    name,
    inputs: ['input'],
    params: ['n'],
    compile(request) {
      const reader = new RequestReader(operator, request);
      reader.withoutWindow();
      const column = reader.numeric(0);
      const need = reader.whole('n', { min: 1, max: MAX_SERIES_EVENTS - 1, fallback: 1 }) + 1;
      return tailOperator(oneOutput('double'), need, (series, from, out) => {
        const have = series.end - from;
        if (have < need) return setWarmingUp(out, have, need);
        const numbers = numbersOf(series, column);
        const then = numbers[from] ?? MISSING;
        const now = numbers[series.end - 1] ?? MISSING;
        if (isMissing(then) || isMissing(now)) setNothing(out, 'NULL');
        else setNumber(out, compare(now, then));
      });
    },
  };
  return operator;
}

/**
 * (x - x[n]) / x[n], x[n] being what the event `n` before the newest says (1 unless given): TA-Lib's ROCP, a share and not a
 * percentage. Needs n + 1 events. NULL where one of the two is null; NON_FINITE where x[n] is 0, for which TA-Lib says 0.
 */
export const returns = change('returns', (now, then) => (now - then) / then);

/** ln(x / x[n]), otherwise as `returns`. NON_FINITE unless both are above 0. */
export const logReturns = change('log_returns', (now, then) =>
  now > 0 && then > 0 ? Math.log(now / then) : Number.NaN,
);
