import { stepsBehind } from '../engine/explain';
import type { Frame } from '../engine/frame';
import type { ReadTier } from '../engine/online-query';
import type { Micros } from '../time';
import type { SelectedMember, Selection } from './selection';
import type { ServedRow } from './served-row';

/** What one row rests on, for those who ask. */
export interface RowOrigin {
  /** Of the newest event behind its values; NaN: there is none. */
  readonly eventTime: Micros;
  /** The latest arrival among the events that were known of its entity; NaN: there is none. */
  readonly ingestedAt: Micros;
  readonly tier: ReadTier;
}

/** Names of the streams behind each member, made once a selection. */
const streams = new WeakMap<Selection, readonly ReadonlySet<string>[]>();

export function originOf(selection: Selection, row: ServedRow, frames: readonly Frame[], tier: ReadTier): RowOrigin {
  let [eventTime, ingestedAt] = [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY];
  const behind = streamsOf(selection);
  for (const [i, { view }] of selection.members.entries()) {
    // What the request gives no event is behind.
    if (row.sources[i] === 'request') continue;
    for (const basis of frames[view]?.basis ?? []) {
      if (behind[i]?.has(basis.stream) !== true) continue;
      if (basis.eventTime > eventTime) eventTime = basis.eventTime;
      if (basis.arrived > ingestedAt) ingestedAt = basis.arrived;
    }
  }
  return { eventTime: orNaN(eventTime), ingestedAt: orNaN(ingestedAt), tier };
}

function streamsOf(selection: Selection): readonly ReadonlySet<string>[] {
  const known = streams.get(selection);
  if (known) return known;
  const made = selection.members.map((member) => namesBehind(selection, member));
  streams.set(selection, made);
  return made;
}

function namesBehind({ programs }: Selection, { view, slot }: SelectedMember): ReadonlySet<string> {
  const program = programs[view];
  const first = program?.plan.outputs[slot]?.step;
  const names = new Set<string>();
  if (!program || first === undefined) return names;
  for (const index of stepsBehind(program, first)) {
    const step = program.plan.steps[index];
    if (step?.kind !== 'operator' && step?.kind !== 'static') continue;
    const stream = program.plan.streams[step.stream];
    if (stream) names.add(stream.definition.name);
  }
  return names;
}

function orNaN(time: Micros): Micros {
  return time === Number.NEGATIVE_INFINITY ? Number.NaN : time;
}
