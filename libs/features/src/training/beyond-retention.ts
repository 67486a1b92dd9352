import type { Frame } from '../engine/frame';
import { reachingBeyondRetention } from '../serving/retention';
import type { Selection } from '../serving/selection';
import type { Micros } from '../time';

/** Rows of which a window begins before its stream is kept. */
export interface RowsBeyondRetention {
  /** Index of the first one. */
  readonly first: number;
  readonly rows: number;
}

/** Counts those rows, in whatever order they are made. */
export class BeyondRetention {
  /** So far; undefined: none. */
  rows: RowsBeyondRetention | undefined;

  constructor(
    private readonly selection: Selection,
    private readonly now: Micros,
  ) {}

  look(row: number, at: Micros, frames: readonly Frame[]): void {
    if (!reachingBeyondRetention(this.selection, at, this.now)(frames)) return;
    const { first, rows } = this.rows ?? { first: row, rows: 0 };
    this.rows = { first: Math.min(first, row), rows: rows + 1 };
  }
}
