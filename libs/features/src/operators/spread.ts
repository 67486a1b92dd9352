import { setNothing, setNumber } from './computed';
import { Moments, momentsTiles } from './moments';
import type { Computed, Operator } from './operator';
import { oneOutput, RequestReader } from './request-reader';
import { windowedOperator } from './windowed-operator';

/** An operator on the moments of a window, with tiles. */
function ofMoments(
  name: string,
  params: readonly string[],
  value: (moments: Moments, lost: 0 | 1) => number,
): Operator {
  const operator: Operator = {
    name,
    inputs: ['input'],
    params,
    compile(request) {
      const reader = new RequestReader(operator, request);
      const column = reader.numeric(0);
      const lost = params.includes('sample') && reader.whole('sample', { min: 0, max: 1, fallback: 0 }) === 1 ? 1 : 0;
      const finish = (moments: Moments, out: Computed): void => {
        if (moments.count <= lost) setNothing(out, 'NULL');
        else setNumber(out, value(moments, lost));
      };
      const moments = new Moments();
      return windowedOperator(
        reader,
        oneOutput('double'),
        (series, from, out, keep) => {
          moments.measure(series, column, from, keep);
          finish(moments, out);
        },
        momentsTiles(column, finish),
      );
    },
  };
  return operator;
}

/**
 * Variance over the window: of the whole population as TA-Lib's VAR, divided by n; with `sample` 1 divided by n - 1. In the square
 * of the unit of the input. Nulls are passed over. Nothing in the window, or one value of a sample, is NULL; a flat series is
 * exactly 0. (TA-Lib's STDDEV says 0 below a variance of 1e-14; this does not.)
 */
export const variance = ofMoments('var', ['sample'], (moments, lost) => moments.variance(lost));

/** Standard deviation over the window, TA-Lib's STDDEV with one deviation: the root of `var`, in the unit of the input. */
export const std = ofMoments('std', ['sample'], (moments, lost) => Math.sqrt(moments.variance(lost)));

/**
 * (x - mean) / std over the window, x being its newest value and std of the population. Nulls are passed over. Nothing in the
 * window is NULL; in a flat series x is the mean, and it is 0.
 */
export const zscore = ofMoments('zscore', [], (moments) => {
  const deviation = Math.sqrt(moments.variance(0));
  return deviation === 0 ? 0 : (moments.newest - moments.mean) / deviation;
});
