import type { Micros } from '../time';
import type { EventColumns } from './event-columns';
import type { Series } from './series';
import type { FoldNeed } from './stream-need';

const TILE_BYTES = 24;

/** Sums by tile of one long window, oldest first; tiles without an event that counts are not there. */
export class TileSums {
  bytes = 0;
  private readonly tiles: number[] = [];
  private readonly sums: unknown[] = [];

  constructor(readonly need: FoldNeed) {}

  add(columns: EventColumns, series: Series, index: number): void {
    const { tiles: fold, test } = this.need;
    if (test && !test.over(columns)(index)) return;
    const tile = Math.floor(columns.timeAt(index) / fold.tile);
    const place = this.placeOf(tile);
    if (this.tiles[place] !== tile) this.open(place, tile, columns.timeAt(index));
    const at = this.placeOf(tile);
    const before = this.sums[at];
    this.bytes -= fold.bytes(before);
    this.sums[at] = fold.add(before, series, index);
    this.bytes += fold.bytes(this.sums[at]);
  }

  /** Forgets the tile of `time`, to be summed anew, and gives the time at which it begins. */
  reopen(time: Micros): Micros {
    const { tile: span } = this.need.tiles;
    const tile = Math.floor(time / span);
    const place = this.placeOf(tile);
    if (this.tiles[place] === tile) this.remove(place, 1);
    return tile * span;
  }

  /** Nothing of the tile of `time` is asked about any more. */
  past(time: Micros, newest: Micros): boolean {
    const { tile, span } = this.need.tiles;
    return Math.floor(time / tile) < Math.floor((newest - span) / tile);
  }

  window(at: Micros): readonly unknown[] {
    const { tile, span } = this.need.tiles;
    const first = this.placeOf(Math.floor((at - span) / tile));
    const sums = first === 0 ? this.sums : this.sums.slice(first);
    return sums.length > 0 ? sums : [this.need.tiles.empty()];
  }

  /** When the tiles of the window begin. */
  startsAt(at: Micros): readonly Micros[] {
    const { tile, span } = this.need.tiles;
    return this.tiles.slice(this.placeOf(Math.floor((at - span) / tile))).map((index) => index * tile);
  }

  private open(place: number, tile: number, time: Micros): void {
    const { tiles: fold } = this.need;
    const sum = fold.empty();
    this.tiles.splice(place, 0, tile);
    this.sums.splice(place, 0, sum);
    this.bytes += TILE_BYTES + fold.bytes(sum);
    if (place === this.tiles.length - 1) this.remove(0, this.placeOf(Math.floor((time - fold.span) / fold.tile)));
  }

  private remove(place: number, count: number): void {
    this.tiles.splice(place, count);
    for (const sum of this.sums.splice(place, count)) this.bytes -= TILE_BYTES + this.need.tiles.bytes(sum);
  }

  /** First place whose tile is not before `tile`. */
  private placeOf(tile: number): number {
    const { tiles } = this;
    if (tiles.length === 0 || (tiles[tiles.length - 1] as number) < tile) return tiles.length;
    let low = 0;
    let high = tiles.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((tiles[middle] as number) < tile) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
