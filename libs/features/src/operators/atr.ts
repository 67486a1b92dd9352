// Hot: runs for every feature of every read that is not in a cache.
import type { Series } from '../engine/series';
import { MISSING, isMissing, numbersOf } from './columns';
import { setNumber, setWarmingUp } from './computed';
import type { Computed, Operator } from './operator';
import { oneOutput, RECURSION, RequestReader } from './request-reader';
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
  params: ['period', ...RECURSION],
  compile(request) {
    const reader = new RequestReader(atr, request);
    reader.withoutWindow();
    const columns = { high: reader.numeric(0), low: reader.numeric(1), close: reader.numeric(2) };
    const period = reader.whole('period', { min: 1, max: 10_000, fallback: 14 });
    const history = reader.recursion(wilderHistory(period), period + 1, 'period');
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
  // `period` times the average: see `strength` of rsi.ts.
  const decay = (period - 1) / period;
  let kept = 1;
  let before = MISSING;
  let bars = 0;
  let sum = 0;
  for (let index = from; index < end; index++) {
    const high = highs[index] ?? MISSING;
    const low = lows[index] ?? MISSING;
    const close = closes[index] ?? MISSING;
    if (isMissing(high) || isMissing(low) || isMissing(close)) continue;
    if (bars > 0) sum = sum * kept + trueRange(high, low, before);
    if (bars++ === period) kept = decay;
    before = close;
  }
  if (bars <= period) setWarmingUp(out, bars, period + 1);
  else setNumber(out, sum / period);
}

/** By comparison: `Math.max` of three takes as long as all else here. */
function trueRange(high: number, low: number, before: number): number {
  const above = Math.abs(before - high);
  const below = Math.abs(before - low);
  const distance = above > below ? above : below;
  return high - low > distance ? high - low : distance;
}
