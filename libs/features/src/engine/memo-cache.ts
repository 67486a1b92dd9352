// Hot: every live read of an entity asks here first.
import { LRUCache } from 'lru-cache';
import type { Micros } from '../time';
import type { EntityState } from './entity-state';
import type { Frame, Given } from './frame';
import { Memo } from './memo';
import type { Program } from './program';

const KEY_BYTES = 150;

/** Memos by plan and entity, at most so many bytes of them. They are found by name and valid by version, so none is ever stale. */
export class MemoCache {
  private readonly memos: LRUCache<string, Memo>;

  constructor(maxBytes: number) {
    this.memos = new LRUCache({
      maxSize: maxBytes,
      sizeCalculation: (memo, key) => KEY_BYTES + 2 * key.length + memo.bytes,
    });
  }

  get bytes(): number {
    return this.memos.calculatedSize;
  }

  of(program: Program, entity: string): Memo {
    const key = `${program.id}\n${entity}`;
    const known = this.memos.get(key);
    if (known) return known;
    const memo = new Memo(program);
    this.memos.set(key, memo);
    return memo;
  }
}

/** A vector can be kept for a plan until its events or its moment change: not where windows by time move on with each moment. */
export function keepsVectors(program: Program): boolean {
  return !program.timed && !program.keyed;
}

export function recallFrame(
  memo: Memo,
  states: readonly (EntityState | undefined)[],
  at: Micros,
  given: Given | undefined,
): Frame | undefined {
  const { frame, frameVersions } = memo;
  if (!frame || at < frame.from || at >= frame.until || frame.given?.key !== given?.key) return undefined;
  for (let i = 0; i < states.length; i++) if (states[i]?.version !== frameVersions[i]) return undefined;
  return frame;
}

export function rememberFrame(memo: Memo, states: readonly (EntityState | undefined)[], frame: Frame): void {
  if (states.includes(undefined)) return;
  memo.frame = frame;
  memo.frameVersions = states.map((state) => state?.version ?? 0);
}
