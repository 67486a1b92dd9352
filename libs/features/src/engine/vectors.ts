// Hot: every live read asks here whether it has its vector already.
import type { Micros } from '../time';
import type { EntityState } from './entity-state';
import type { Frame, Given } from './frame';
import type { Memo } from './memo';
import type { Program } from './program';

/** Characters of what a request gives that are worth keeping: it hardly comes again where it is long. */
const MAX_GIVEN = 1024;

/** A whole vector can be kept for a plan until an event comes, counts no more or leaves a window: not where values change with each moment. */
export function keepsVectors({ restless }: Program): boolean {
  return restless.length === 0;
}

/** The frame that was kept, where its calm part still holds; of a plan that keeps vectors that is all of it. */
export function recallFrame(
  program: Program,
  memo: Memo | undefined,
  states: readonly (EntityState | undefined)[],
  {
    at,
    given,
    keepStale = false,
  }: { readonly at: Micros; readonly given: Given | undefined; readonly keepStale?: boolean | undefined },
): Frame | undefined {
  if (!memo?.frame) return undefined;
  const { frame, frameVersions } = memo;
  if (at < frame.calmFrom || at >= frame.calmUntil || frame.keepsStale !== keepStale) return undefined;
  if (frame.given?.key !== given?.key) return undefined;
  for (let i = 0; i < states.length; i++) if (versionOf(program, states, i) !== frameVersions[i]) return undefined;
  frame.found = true;
  return frame;
}

export function rememberFrame(
  program: Program,
  memo: Memo,
  states: readonly (EntityState | undefined)[],
  frame: Frame,
): void {
  if (program.calm.length === 0 || (frame.given?.key.length ?? 0) > MAX_GIVEN) return;
  const versions = states.map((_, i) => versionOf(program, states, i));
  if (versions.includes(NOT_READ)) return;
  memo.frame = frame;
  memo.frameVersions = versions;
}

/** Of a state that could not be read. */
const NOT_READ = -1;

/** Tables that are looked up by values have nothing to do with what is calm. */
function versionOf({ plan }: Program, states: readonly (EntityState | undefined)[], stream: number): number {
  const state = states[stream];
  if (state) return state.version;
  return plan.streams[stream]?.keyed === true ? 0 : NOT_READ;
}
