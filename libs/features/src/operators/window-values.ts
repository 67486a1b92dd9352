// Hot: runs for every feature of every read that is not in a cache.
import { isMissing, MISSING } from './columns';
import type { Keep } from './windowed-operator';

/** Room for the numbers of one window. Used and left within one call: nothing is kept in it. */
export class WindowValues {
  private room = new Float64Array(64);

  /** Copies the numbers of the window that are there to the front of `values`, and returns how many. */
  fill(column: Float64Array, from: number, to: number, keep: Keep | undefined): number {
    if (this.room.length < to - from) this.room = new Float64Array(2 * (to - from));
    const { room } = this;
    let count = 0;
    for (let index = from; index < to; index++) {
      const value = column[index] ?? MISSING;
      if (isMissing(value) || (keep !== undefined && !keep(index))) continue;
      room[count++] = value;
    }
    return count;
  }

  get values(): Float64Array {
    return this.room;
  }
}
