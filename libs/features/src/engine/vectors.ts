// Hot: every live read asks here whether it has its vector already.
import type { Micros } from '../time';
import type { EntityState } from './entity-state';
import type { Frame, Given } from './frame';
import type { Memo } from './memo';
import type { Program } from './program';

/** Characters of what a request gives that are worth keeping: it hardly comes again where it is long. */
const MAX_GIVEN = 1024;

/** A vector can be kept for a plan until an event comes, counts no more or leaves a window: not where values change with each moment. */
export function keepsVectors(program: Program): boolean {
  return !program.timed && !program.keyed;
}

export function recallFrame(
  memo: Memo | undefined,
  states: readonly (EntityState | undefined)[],
  at: Micros,
  { given, keepStale = false }: { readonly given: Given | undefined; readonly keepStale?: boolean | undefined },
): Frame | undefined {
  if (!memo?.frame) return undefined;
  const { frame, frameVersions } = memo;
  if (at < frame.from || at >= frame.until || frame.keepsStale !== keepStale) return undefined;
  if (frame.given?.key !== given?.key) return undefined;
  for (let i = 0; i < states.length; i++) if (states[i]?.version !== frameVersions[i]) return undefined;
  frame.found = true;
  return frame;
}

export function rememberFrame(memo: Memo, states: readonly (EntityState | undefined)[], frame: Frame): void {
  if (states.includes(undefined) || (frame.given?.key.length ?? 0) > MAX_GIVEN) return;
  memo.frame = frame;
  memo.frameVersions = states.map((state) => state?.version ?? 0);
}
