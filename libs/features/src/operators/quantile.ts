import { MISSING, isMissing, numbersOf } from './columns';
import { setNothing, setNumber } from './computed';
import type { CompiledOperator, Operator } from './operator';
import { quantileOf } from './order-statistic';
import { QuantileSketch } from './quantile-sketch';
import { oneOutput, RequestReader } from './request-reader';
import { WindowValues } from './window-values';
import { windowedOperator } from './windowed-operator';

/**
 * Quantile `q` (0 to 1) over the window, between two values in proportion (NumPy's default). Nulls are passed over; nothing in the
 * window is NULL.
 *
 * With tiles it is estimated from a sketch, within `relative_error` (0.005 unless given, 0.001 to 0.05) of the exact value where
 * the two values it lies between have the same sign; the least and the greatest are exact.
 */
export const quantile: Operator = {
  name: 'quantile',
  inputs: ['input'],
  params: ['q', 'relative_error'],
  compile(request) {
    const reader = new RequestReader(quantile, request);
    return ofRank(reader, reader.number('q', { min: 0, max: 1 }));
  },
};

/** `quantile` at 0.5. */
export const median: Operator = {
  name: 'median',
  inputs: ['input'],
  params: ['relative_error'],
  compile: (request) => ofRank(new RequestReader(median, request), 0.5),
};

function ofRank(reader: RequestReader, q: number): CompiledOperator {
  const column = reader.numeric(0);
  const { tile } = reader.request;
  if (tile === undefined && reader.request.params['relative_error'] !== undefined) {
    throw reader.fault('relative_error', 'is exact without tiles');
  }
  const relativeError = reader.number('relative_error', { min: 0.001, max: 0.05, fallback: 0.005 });
  const values = new WindowValues();
  const whole = new QuantileSketch(relativeError);
  return windowedOperator<QuantileSketch>(
    reader,
    oneOutput('double'),
    (series, from, out, keep) => {
      const count = values.fill(numbersOf(series, column), from, series.end, keep);
      if (count === 0) setNothing(out, 'NULL');
      else setNumber(out, quantileOf(values.values, count, q));
    },
    {
      empty: () => new QuantileSketch(relativeError),
      add(sketch, series, index) {
        const value = numbersOf(series, column)[index] ?? MISSING;
        if (!isMissing(value)) sketch.add(value);
        return sketch;
      },
      finish(sketches, out) {
        whole.clear();
        for (const sketch of sketches) whole.merge(sketch);
        if (whole.count === 0) setNothing(out, 'NULL');
        else setNumber(out, whole.quantile(q));
      },
      bytes: (sketch) => sketch.bytes,
    },
  );
}
