import { DomainError } from '@sibyl/kernel';
import type { StreamDefinition } from '../definitions/feature-view';
import { stepsBehind } from '../engine/steps-behind';
import { instantText, type Micros } from '../time';
import type { Selection } from './selection';

const least = new WeakMap<Selection, StreamDefinition>();
const slack = new WeakMap<Selection, Micros>();

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
  return stream && at < now - stream.retention ? beforeRetention(stream, now, [{ pointer, at }]) : undefined;
}

export function beforeRetention(
  { name, retention }: StreamDefinition,
  now: Micros,
  times: readonly { readonly pointer: string; readonly at: Micros }[],
): DomainError {
  const since = instantText(now - retention);
  return new DomainError('timestamp_before_retention', `Stream '${name}' is kept since ${since}.`, {
    faults: times.map(({ pointer, at }) => ({ pointer, expected: `a time from ${since}`, received: instantText(at) })),
  });
}

/** Whether a window by time of what is asked begins before its stream is kept: what it has of that is what happens not to be dropped yet. */
export function reachesBeyondRetention(selection: Selection, at: Micros, now: Micros): boolean {
  let back = slack.get(selection);
  if (back === undefined) {
    back = Infinity;
    for (const { stream, span } of usesOf(selection)) if (span > 0) back = Math.min(back, stream.retention - span);
    slack.set(selection, back);
  }
  return at < now - back;
}

/** Of the streams that what is asked is computed from, the one that is kept for the shortest time. */
export function leastKept(selection: Selection): StreamDefinition | undefined {
  const known = least.get(selection);
  if (known) return known;
  const found = usesOf(selection).reduce<StreamDefinition | undefined>(
    (best, { stream }) => (best && best.retention <= stream.retention ? best : stream),
    undefined,
  );
  if (found) least.set(selection, found);
  return found;
}

interface StreamUse {
  readonly stream: StreamDefinition;
  /** Of a window by time; 0: it is none. */
  readonly span: Micros;
}

/** What the steps behind what is asked read. */
function usesOf({ views, members }: Selection): StreamUse[] {
  return views.flatMap(({ program: { plan } }, view) => {
    const slots = members.filter((member) => member.view === view).map(({ slot }) => slot);
    return [...stepsBehind(plan, slots)].flatMap((index): StreamUse[] => {
      const step = plan.steps[index];
      const read = step?.kind === 'operator' || step?.kind === 'static' ? plan.streams[step.stream] : undefined;
      if (!read) return [];
      return [{ stream: read.definition, span: step?.kind === 'operator' ? step.operator.span : 0 }];
    });
  });
}
