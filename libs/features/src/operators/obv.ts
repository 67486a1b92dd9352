// Hot: runs for every feature of every read that is not in a cache.
import type { Series } from '../engine/series';
import { MISSING, isMissing, numbersOf } from './columns';
import { setNothing, setNumber } from './computed';
import type { CompiledOperator, Computed, Operator } from './operator';
import { oneOutput, RequestReader } from './request-reader';
import { tailOperator } from './tail-operator';
import { windowedOperator, type Keep } from './windowed-operator';

/**
 * On balance volume, TA-Lib's OBV over the events of the window: the first one's volume, plus the volume where the close rises,
 * minus it where it falls. In the unit of the volume. A bar with a null among the two is passed over; nothing in the window is
 * NULL. From the first bar on, also in a window by count.
 *
 * It must have a window, because it forgets nothing: what began it years ago would count as much as today. Its level therefore
 * depends on where the window begins, as it does in TA-Lib on where the data begin.
 */
export const obv: Operator = {
  name: 'obv',
  inputs: ['close', 'volume'],
  params: [],
  compile(request) {
    const reader = new RequestReader(obv, request);
    const columns = { close: reader.numeric(0), volume: reader.numeric(1) };
    const fold = (series: Series, from: number, out: Computed, keep?: Keep): void =>
      balance(numbersOf(series, columns.close), numbersOf(series, columns.volume), [from, series.end], out, keep);
    const windowed: CompiledOperator = windowedOperator(reader, oneOutput('double'), fold);
    return windowed.span > 0 ? windowed : tailOperator(windowed.outputs, windowed.history, fold);
  },
};

function balance(
  closes: Float64Array,
  volumes: Float64Array,
  [from, end]: readonly [number, number],
  out: Computed,
  keep: Keep | undefined,
): void {
  let before = MISSING;
  let total = 0;
  for (let index = from; index < end; index++) {
    const close = closes[index] ?? MISSING;
    const volume = volumes[index] ?? MISSING;
    if (isMissing(close) || isMissing(volume) || (keep !== undefined && !keep(index))) continue;
    if (isMissing(before)) total = volume;
    else if (close > before) total += volume;
    else if (close < before) total -= volume;
    before = close;
  }
  if (isMissing(before)) setNothing(out, 'NULL');
  else setNumber(out, total);
}
