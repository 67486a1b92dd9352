import { DomainError } from '@sibyl/kernel';
import type { StreamDefinition } from '../definitions/feature-view';
import { stepsBehind } from '../engine/steps-behind';
import { instantText, type Micros } from '../time';
import type { Selection } from './selection';

const least = new WeakMap<Selection, StreamDefinition>();

/** Throws timestamp_before_retention: the log does not reach back so far, and nothing may pass for what was. */
export function checkRetention(selection: Selection, at: Micros, now: Micros, pointer = '/timestamp'): void {
  const fault = retentionFault(selection, at, now, pointer);
  if (fault) throw fault;
}

/** The same for those who can do without what was. */
export function retentionFault(
  selection: Selection,
  at: Micros,
  now: Micros,
  pointer: string,
): DomainError | undefined {
  const stream = leastKept(selection);
  return stream && at < now - stream.retention ? beforeRetention(stream, now, [pointer]) : undefined;
}

export function beforeRetention(
  { name, retention }: StreamDefinition,
  now: Micros,
  pointers: readonly string[],
): DomainError {
  const since = instantText(now - retention);
  return new DomainError('timestamp_before_retention', `Stream '${name}' is kept since ${since}.`, {
    faults: pointers.map((pointer) => ({ pointer, expected: `a time from ${since}` })),
  });
}

/** Of the streams that what is asked is computed from, the one that is kept for the shortest time. */
export function leastKept(selection: Selection): StreamDefinition | undefined {
  const known = least.get(selection);
  if (known) return known;
  const streams = selection.views.flatMap(({ program: { plan } }, view) => {
    const slots = selection.members.filter((member) => member.view === view).map(({ slot }) => slot);
    return [...stepsBehind(plan, slots)].flatMap((index) => {
      const step = plan.steps[index];
      const read = step?.kind === 'operator' || step?.kind === 'static' ? plan.streams[step.stream] : undefined;
      return read ? [read.definition] : [];
    });
  });
  const found = streams.reduce<StreamDefinition | undefined>(
    (best, stream) => (best && best.retention <= stream.retention ? best : stream),
    undefined,
  );
  if (found) least.set(selection, found);
  return found;
}
