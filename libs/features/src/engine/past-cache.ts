import { LRUCache } from 'lru-cache';
import type { Micros } from '../time';
import { BASIS_BYTES, heldBytes, type Frame } from './frame';
import { isStrict, type PastMoment, type Task } from './online-query';

/** Measured: an entry and its frame; a slot with a number and a time of its own. */
const FRAME_BYTES = 460;
const SLOT_BYTES = 48;
/** Stretches of time kept of one entity and plan. */
const MAX_STRETCHES = 16;

/** The same frame at each moment of `[from, upTo]`. */
interface Stretch {
  readonly from: Micros;
  readonly upTo: Micros;
  readonly frame: Frame;
  readonly bytes: number;
}

/**
 * Vectors of the past. What is known of a moment does not change once every event that arrived until then is committed, and
 * between two events nothing changes at all: a read at any moment between the last event and one that was read finds its vector.
 */
export class PastCache {
  private readonly stretches: LRUCache<string, Stretch[]>;

  constructor(maxBytes: number) {
    this.stretches = new LRUCache({
      maxSize: maxBytes,
      sizeCalculation: (stretches, key) => stretches.reduce((sum, { bytes }) => sum + bytes, 2 * key.length + 200),
    });
  }

  get bytes(): number {
    return this.stretches.calculatedSize;
  }

  find(task: Task, moment: PastMoment): Frame | undefined {
    const stretches = this.stretches.get(keyOf(task, moment));
    return stretches?.find(({ from, upTo }) => moment.at >= from && moment.at <= upTo)?.frame;
  }

  keep(task: Task, moment: PastMoment, frame: Frame): void {
    if (frame.statuses.includes('TIMEOUT')) return;
    const key = keyOf(task, moment);
    const from = validFrom(frame, moment);
    const others = (this.stretches.peek(key) ?? []).filter((stretch) => stretch.from !== from);
    const stretch = { from, upTo: moment.at, frame, bytes: bytesOf(frame, task) };
    // Later moments of the same stretch make it longer.
    this.stretches.set(key, [stretch, ...others].slice(0, MAX_STRETCHES));
  }
}

function bytesOf(frame: Frame, { program }: Task): number {
  const ofBasis = frame.basis.reduce((sum, { entity }) => sum + BASIS_BYTES + 2 * entity.length, 0);
  return FRAME_BYTES + frame.values.length * SLOT_BYTES + ofBasis + heldBytes(frame, program.heavy);
}

/** With strict knowledge an event counts from when it both had happened and was known. */
function validFrom(frame: Frame, moment: PastMoment): Micros {
  let { from } = frame;
  if (isStrict(moment)) for (const { arrived } of frame.basis) from = Math.max(from, arrived);
  return Math.min(from, moment.at);
}

function keyOf({ program, entity, given }: Task, moment: PastMoment): string {
  const known = isStrict(moment) ? 'then' : `${moment.knownAt}${moment.corrected ? ' corrected' : ''}`;
  return `${program.id}\n${known}\n${entity}\n${given?.key ?? ''}`;
}
