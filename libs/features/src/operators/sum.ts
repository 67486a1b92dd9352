// Hot: runs for every feature of every read that is not in a cache.
import { MISSING, isMissing, numbersOf } from './columns';
import { setNumber } from './computed';
import type { Operator } from './operator';
import { oneOutput, RequestReader } from './request-reader';
import { windowedOperator } from './windowed-operator';

/**
 * Sum over the window, TA-Lib's SUM where it is by count. Nulls are passed over; booleans are 0 and 1. Nothing in the window is 0
 * and not NULL, as `count` and `rate` are then 0: what was spent in an hour without payments is known. A double also for whole
 * numbers, whose sum need not fit in an `int`.
 */
export const sum: Operator = {
  name: 'sum',
  inputs: ['input'],
  params: [],
  compile(request) {
    const reader = new RequestReader(sum, request);
    const column = reader.countable(0);
    return windowedOperator<number>(
      reader,
      oneOutput('double'),
      (series, from, out, keep) => {
        const numbers = numbersOf(series, column);
        const { end } = series;
        let total = 0;
        for (let index = from; index < end; index++) {
          const value = numbers[index] ?? MISSING;
          if (!isMissing(value) && (keep === undefined || keep(index))) total += value;
        }
        setNumber(out, total);
      },
      {
        empty: () => 0,
        add(total, series, index) {
          const value = numbersOf(series, column)[index] ?? MISSING;
          return isMissing(value) ? total : total + value;
        },
        finish(totals, out) {
          let total = 0;
          for (const part of totals) total += part;
          setNumber(out, total);
        },
        bytes: () => 8,
      },
    );
  },
};
