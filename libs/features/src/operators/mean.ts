import { setNothing, setNumber } from './computed';
import { Moments, momentsTiles } from './moments';
import type { Computed, Operator } from './operator';
import { oneOutput, RequestReader } from './request-reader';
import { windowedOperator } from './windowed-operator';

/**
 * Mean over the window, TA-Lib's SMA where it is by count. Nulls are passed over; booleans are 0 and 1, so that it is the share of
 * true. Nothing in the window is NULL.
 */
export const mean: Operator = {
  name: 'mean',
  inputs: ['input'],
  params: [],
  compile(request) {
    const reader = new RequestReader(mean, request);
    const column = reader.countable(0);
    const moments = new Moments();
    return windowedOperator(
      reader,
      oneOutput('double'),
      (series, from, out, keep) => {
        moments.measureMean(series, column, from, keep);
        finish(moments, out);
      },
      momentsTiles(column, finish),
    );
  },
};

function finish(moments: Moments, out: Computed): void {
  if (moments.count === 0) setNothing(out, 'NULL');
  else setNumber(out, moments.mean);
}
