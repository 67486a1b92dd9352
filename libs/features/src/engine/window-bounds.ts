// Hot: asked for every operator that is computed.
import type { CompiledOperator } from '../operators/operator';
import { firstAfter } from '../operators/windowed-operator';
import type { Micros } from '../time';
import type { Series } from './series';

/** Moments of `[from, until)`. */
export interface Bounds {
  from: Micros;
  until: Micros;
}

export function unbounded(): Bounds {
  return { from: Number.NEGATIVE_INFINITY, until: Number.POSITIVE_INFINITY };
}

/**
 * Writes the moments around `at` at which an operator comes to the same, as long as the events of the series are those that count:
 * those at which the same of them lie in its window.
 */
export function boundWindow(
  { span, timed, tiles }: CompiledOperator,
  series: Series,
  at: Micros,
  bounds: Bounds,
): void {
  if (timed) bounds.until = (bounds.from = at) + 1;
  else if (span === 0) bounds.until = -(bounds.from = Number.NEGATIVE_INFINITY);
  else if (tiles) {
    // The window begins with a tile: at the next tile it does without its oldest one.
    bounds.from = Math.floor((at - span) / tiles.tile) * tiles.tile + span;
    bounds.until = bounds.from + tiles.tile;
  } else boundEvents(span, series, at, bounds);
}

function boundEvents(span: Micros, series: Series, at: Micros, bounds: Bounds): void {
  const { times, start, end } = series;
  const first = firstAfter(series, at - span);
  bounds.from = first > start ? (times[first - 1] as Micros) + span : Number.NEGATIVE_INFINITY;
  bounds.until = first < end ? (times[first] as Micros) + span : Number.POSITIVE_INFINITY;
  // Older events exist that are not here: nobody knows when the newest of them left the window.
  if (first === start && !series.whole) bounds.from = at;
  // The window reaches beyond what is kept, and with each moment a little less.
  if (series.cut) bounds.until = at + 1;
}
