// Hot: runs for every feature of every read that is not in a cache.
import type { Series } from '../engine/series';
import type { Computed, Operator } from './operator';
import { setNumber, setWarmingUp } from './computed';
import { numbersOf } from './columns';
import { oneOutput, RequestReader } from './request-reader';
import { tailOperator } from './tail-operator';
import { wilderHistory } from './wilder';

interface Columns {
  readonly high: number;
  readonly low: number;
  readonly close: number;
}

/**
 * Average true range, TA-Lib's ATR: Wilder's average over `period` (14 unless given) of the greatest of high - low,
 * |high - close before| and |low - close before|. Needs period + 1 bars. A bar with a null among the three is passed over. In the
 * unit of the prices.
 */
export const atr: Operator = {
  name: 'atr',
  inputs: ['high', 'low', 'close'],
  params: ['period'],
  compile(request) {
    const reader = new RequestReader(atr, request);
    reader.withoutWindow();
    const columns = { high: reader.numeric(0), low: reader.numeric(1), close: reader.numeric(2) };
    const period = reader.whole('period', { min: 1, max: 10_000, fallback: 14 });
    const history = reader.history(wilderHistory(period), 'period');
    return tailOperator(oneOutput('double'), history, (series, from, out) =>
      averageRange(series, from, columns, period, out),
    );
  },
};

function averageRange(series: Series, from: number, columns: Columns, period: number, out: Computed): void {
  const highs = numbersOf(series, columns.high);
  const lows = numbersOf(series, columns.low);
  const closes = numbersOf(series, columns.close);
  const { end } = series;
  let before = Number.NaN;
  let bars = 0;
  let average = 0;
  for (let index = from; index < end; index++) {
    const high = highs[index] ?? Number.NaN;
    const low = lows[index] ?? Number.NaN;
    const close = closes[index] ?? Number.NaN;
    if (Number.isNaN(high + low + close) && (Number.isNaN(high) || Number.isNaN(low) || Number.isNaN(close))) continue;
    if (bars > 0) {
      const range = Math.max(high - low, Math.abs(before - high), Math.abs(before - low));
      if (bars > period) average = (average * (period - 1) + range) / period;
      else {
        average += range;
        if (bars === period) average /= period;
      }
    }
    before = close;
    bars++;
  }
  if (bars <= period) setWarmingUp(out, bars, period + 1);
  else setNumber(out, average);
}
