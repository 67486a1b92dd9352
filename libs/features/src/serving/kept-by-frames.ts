// Hot: asked for each row that is served.
import { heldBytes, type Frame } from '../engine/frame';
import type { Selection } from './selection';

/** How much of it is kept, and what one weighs. */
export interface KeptLimits {
  readonly bytes: number;
  readonly rowBytes: number;
  /** Of each member; texts and lists weigh more by what they hold. */
  readonly valueBytes: number;
}

interface Kept<Made> {
  readonly selection: Selection;
  readonly frames: readonly Frame[];
  readonly made: Made;
}

/**
 * What was made of frames that serve again, as long as they do: so many bytes of those used last, and as many from before. Not of those
 * that serve for the first time: where events come between reads there is no second time, and to the collector what is kept for a
 * while and then dropped is the dearest of all.
 */
export class KeptByFrames<Made> {
  private recent = new WeakMap<Frame, Kept<Made>>();
  private older = new WeakMap<Frame, Kept<Made>>();
  private left: number;

  constructor(
    private readonly limits: KeptLimits,
    private readonly make: (selection: Selection, frames: readonly Frame[]) => Made,
  ) {
    this.left = limits.bytes;
  }

  /** Of the same frames that of the last selection is kept. */
  of(selection: Selection, frames: readonly Frame[]): Made {
    const [first] = frames;
    if (first === undefined || !frames.every(serves)) return this.make(selection, frames);
    const known = this.recent.get(first);
    if (known && isOf(known, selection, frames)) return known.made;
    const before = this.older.get(first);
    const kept =
      before && isOf(before, selection, frames) ? before : { selection, frames, made: this.make(selection, frames) };
    const weight = this.weightOf(selection, frames);
    if (this.left < weight) {
      this.older = this.recent;
      this.recent = new WeakMap();
      this.left = this.limits.bytes;
    }
    this.left -= weight;
    this.recent.set(first, kept);
    return kept.made;
  }

  private weightOf({ members, programs }: Selection, frames: readonly Frame[]): number {
    const { rowBytes, valueBytes } = this.limits;
    let bytes = rowBytes + members.length * valueBytes;
    for (let i = 0; i < frames.length; i++) {
      const heavy = programs[i]?.heavy ?? [];
      if (heavy.length > 0) bytes += heldBytes(frames[i] as Frame, heavy);
    }
    return bytes;
  }
}

function serves({ at, until, found }: Frame): boolean {
  return found && until > at + 1;
}

function isOf<Made>(known: Kept<Made>, selection: Selection, frames: readonly Frame[]): boolean {
  if (known.selection !== selection) return false;
  for (let i = 0; i < frames.length; i++) if (known.frames[i] !== frames[i]) return false;
  return true;
}
