// Hot: runs for every feature of every read that is not in a cache.
import { MISSING, isMissing, numbersOf } from './columns';
import { setNothing, setNumber } from './computed';
import type { Computed, Operator } from './operator';
import { oneOutput, RequestReader } from './request-reader';
import { windowedOperator } from './windowed-operator';

/** The value that comes before all others by `beats`; NaN stands for none so far. */
function extreme(name: string, beats: (value: number, best: number) => boolean): Operator {
  const better = (value: number, best: number): number =>
    isMissing(best) || beats(value, best) ? (isMissing(value) ? best : value) : best;
  const finish = (best: number, out: Computed): void => {
    if (isMissing(best)) setNothing(out, 'NULL');
    else setNumber(out, best);
  };
  const operator: Operator = {
    name,
    inputs: ['input'],
    params: [],
    compile(request) {
      const reader = new RequestReader(operator, request);
      const column = reader.numeric(0);
      return windowedOperator<number>(
        reader,
        oneOutput(reader.field(0).field.type),
        (series, from, out, keep) => {
          const numbers = numbersOf(series, column);
          const { end } = series;
          let best = MISSING;
          for (let index = from; index < end; index++) {
            if (keep === undefined || keep(index)) best = better(numbers[index] ?? MISSING, best);
          }
          finish(best, out);
        },
        {
          empty: () => Number.NaN,
          add: (best, series, index) => better(numbersOf(series, column)[index] ?? MISSING, best),
          finish(bests, out) {
            let best = MISSING;
            for (const part of bests) best = better(part, best);
            finish(best, out);
          },
          bytes: () => 8,
        },
      );
    },
  };
  return operator;
}

/** Least value of the window, TA-Lib's MIN, in the type of the input. Nulls are passed over; nothing in the window is NULL. */
export const min = extreme('min', (value, best) => value < best);

/** Greatest value of the window, TA-Lib's MAX, in the type of the input. Nulls are passed over; nothing in the window is NULL. */
export const max = extreme('max', (value, best) => value > best);
