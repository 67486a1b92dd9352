// Hot: runs for every feature of every read that is not in a cache.
import type { OperatorOutput } from '../definitions/feature-view';
import type { Series } from '../engine/series';
import type { Micros } from '../time';
import { setNothing, setWarmingUp } from './computed';
import type { CompiledOperator, Computed, TileFold } from './operator';
import type { RequestReader } from './request-reader';

/** The `where` of a feature. */
export type Keep = (index: number) => boolean;

/** Computes from the events of `[from, series.end)` that `keep` lets through. */
export type WindowFold = (series: Series, from: number, out: Computed, keep: Keep | undefined) => void;

/** How an operator sums tiles; `TileFold` without its times. */
export interface TileSums<Sum> {
  empty(): Sum;
  add(sum: Sum, series: Series, index: number): Sum;
  /** `length`: microseconds from the beginning of the oldest tile to the moment. */
  finish(sums: readonly Sum[], out: Computed, length: Micros): void;
  bytes(sum: Sum): number;
  /** `finish` goes by the length. */
  readonly byLength?: boolean;
}

/** More tiles than this cost more than they save. */
const MAX_TILES = 4096;

/**
 * An operator over a window, by count or by time.
 *
 * By count: the last `events` events; WARMING_UP until there are as many. By time: `(at - span, at]`, and an entity that is
 * younger than the window has the value of what there is. With tiles: `[floor((at - span) / tile) * tile, at]`.
 */
export function windowedOperator<Sum>(
  reader: RequestReader,
  outputs: readonly OperatorOutput[],
  fold: WindowFold,
  sums?: TileSums<Sum>,
): CompiledOperator {
  const { window, tile } = reader.request;
  if (window === undefined) throw reader.fault('window', 'needs a window: a number of events or a time');
  if ('events' in window) {
    reader.withoutTile();
    return overEvents(reader, window.events, outputs, fold);
  }
  const { span } = window;
  if (!Number.isInteger(span) || span <= 0)
    throw reader.fault('window', `needs a window longer than nothing, not ${span}`);
  if (tile === undefined) return overTime(span, outputs, fold);
  if (sums === undefined) throw reader.fault('tile', 'takes no tile');
  return overTiles(checkedFold(reader, span, tile, sums), outputs, sums.byLength === true);
}

function overEvents(
  reader: RequestReader,
  events: number,
  outputs: readonly OperatorOutput[],
  fold: WindowFold,
): CompiledOperator {
  if (!Number.isInteger(events) || events < 1) throw reader.fault('window', `needs a window of 1 event or more`);
  return {
    outputs,
    history: reader.history(events, 'window'),
    span: 0,
    timed: false,
    compute(series, _at, out, keep) {
      const from = series.end - events;
      if (from >= series.start) fold(series, from, out, keep);
      else if (series.cut) setNothing(out, 'INVALID');
      else setWarmingUp(out, series.end - series.start, events);
    },
  };
}

function overTime(span: Micros, outputs: readonly OperatorOutput[], fold: WindowFold): CompiledOperator {
  return {
    outputs,
    history: 0,
    span,
    timed: false,
    compute(series, at, out, keep) {
      const from = firstAfter(series, at - span);
      if (from === series.start && series.cut) setNothing(out, 'INVALID');
      else fold(series, from, out, keep);
    },
  };
}

function overTiles(tiles: TileFold, outputs: readonly OperatorOutput[], byLength: boolean): CompiledOperator {
  const { tile, span } = tiles;
  return {
    outputs,
    history: 0,
    span,
    timed: byLength,
    tiles,
    compute(series, at, out, keep) {
      // Times are whole, so that what comes at the border or after it comes after the microsecond before.
      const from = firstAfter(series, Math.floor((at - span) / tile) * tile - 1);
      if (from === series.start && series.cut) return setNothing(out, 'INVALID');
      let sum = tiles.empty();
      for (let index = from; index < series.end; index++) {
        if (keep === undefined || keep(index)) sum = tiles.add(sum, series, index);
      }
      tiles.finish([sum], at, out);
    },
  };
}

function checkedFold<Sum>(reader: RequestReader, span: Micros, tile: Micros, sums: TileSums<Sum>): TileFold {
  if (!Number.isInteger(tile) || tile <= 0 || tile > span) {
    throw reader.fault('tile', 'needs a tile longer than nothing and not longer than its window');
  }
  if (span / tile > MAX_TILES) {
    throw reader.fault('tile', `would have ${Math.ceil(span / tile)} tiles in its window; at most ${MAX_TILES}`);
  }
  return {
    tile,
    span,
    empty: () => sums.empty(),
    add: (sum, series, index) => sums.add(sum as Sum, series, index),
    finish: (all, at, out) => sums.finish(all as readonly Sum[], out, at - Math.floor((at - span) / tile) * tile),
    bytes: (sum) => sums.bytes(sum as Sum),
  };
}

/** Index of the first event of the series after `time`, by bisection. */
export function firstAfter(series: Series, time: Micros): number {
  const { times } = series;
  let low = series.start;
  let high = series.end;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((times[middle] ?? 0) > time) high = middle;
    else low = middle + 1;
  }
  return low;
}
