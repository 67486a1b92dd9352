// Hot: runs for every feature of every read that is not in a cache.
import { MAX_SERIES_EVENTS } from '../engine/series';
import { setNothing, setWarmingUp, settle } from './computed';
import { Moments } from './moments';
import type { Operator } from './operator';
import { namedOutputs, RequestReader } from './request-reader';
import { tailOperator } from './tail-operator';

/**
 * Bollinger bands, TA-Lib's BBANDS with a simple average: `middle` = mean of the last `period` events (20 unless given), `upper`
 * and `lower` = middle ± `deviations` (2 unless given) population standard deviations; `percent_b` = (x - lower) / (upper - lower)
 * of the newest value x. Needs `period` events; nulls among them are passed over. In a flat series x is in the middle of bands
 * without width: percent_b is 0.5.
 */
export const bollinger: Operator = {
  name: 'bollinger',
  inputs: ['input'],
  params: ['period', 'deviations'],
  compile(request) {
    const reader = new RequestReader(bollinger, request);
    reader.withoutWindow();
    const column = reader.numeric(0);
    const period = reader.whole('period', { min: 2, max: MAX_SERIES_EVENTS, fallback: 20 });
    const deviations = reader.number('deviations', { min: 0.01, max: 100, fallback: 2 });
    const moments = new Moments();
    return tailOperator(namedOutputs('upper', 'middle', 'lower', 'percent_b'), period, (series, from, out) => {
      if (series.end - from < period) return setWarmingUp(out, series.end - from, period);
      moments.measure(series, column, from, undefined);
      if (moments.count === 0) return setNothing(out, 'NULL');
      const middle = moments.mean;
      const width = deviations * Math.sqrt(moments.variance(0));
      out.values[0] = middle + width;
      out.values[1] = middle;
      out.values[2] = middle - width;
      out.values[3] = width === 0 ? 0.5 : 0.5 + (moments.newest - middle) / (2 * width);
      settle(out);
    });
  },
};
