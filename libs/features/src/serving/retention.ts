import { DomainError } from '@sibyl/kernel';
import type { StreamDefinition } from '../definitions/feature-view';
import type { Frame, StreamBasis } from '../engine/frame';
import { stepsBehind } from '../engine/steps-behind';
import { cutBegin } from '../log/retention-class';
import { instantText, type Micros } from '../time';
import type { Selection } from './selection';

/** The last row of a key. */
const ROW = { span: 0, history: 1 };

const least = new WeakMap<Selection, StreamDefinition>();
const reaches = new WeakMap<Selection, readonly Reach[]>();

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

/** Of the frames of a row, by view. */
type RowTest = (frames: readonly (Frame | undefined)[]) => boolean;

const ALWAYS: RowTest = () => true;
const NEVER: RowTest = () => false;

/**
 * Of which rows a window begins before its stream is kept, as it is kept now: what such a window has of that is what happens not to be
 * dropped yet. One by count is as long as its events lie apart, which the frames say.
 */
export function reachingBeyondRetention(selection: Selection, at: Micros, now: Micros): RowTest {
  const open: { readonly reach: Reach; readonly edge: Micros }[] = [];
  for (const reach of reachesOf(selection)) {
    const kept = selection.kept(reach.stream);
    if (!kept) continue;
    const since = now - kept.definition.retention;
    if (reach.span > 0 && at - reach.span < since) return ALWAYS;
    const begin = at - reach.retention;
    if (reach.history === 0 || begin >= since) continue;
    // Before it all may be gone; the cut that it begins is not dropped yet.
    const edge = cutBegin(kept.retentionClass, since);
    if (begin < edge) open.push({ reach, edge });
  }
  if (open.length === 0) return NEVER;
  return (frames) =>
    open.some(({ reach, edge }) => frames[reach.view]?.basis.some((basis) => reachOf(basis, reach) < edge) === true);
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
  readonly view: number;
  readonly stream: StreamDefinition;
  /** Of a window by time; 0: it is none. */
  readonly span: Micros;
  /** Of a window by count, its newest events; 0: it is none. */
  readonly history: number;
}

/** How far back one view looks on a stream. */
interface Reach {
  readonly view: number;
  readonly stream: string;
  /** Which the version of the view has. */
  readonly retention: Micros;
  readonly span: Micros;
  readonly history: number;
}

/** What the steps behind what is asked read. */
function usesOf({ views, members }: Selection): StreamUse[] {
  return views.flatMap(({ program: { plan } }, view) => {
    const slots = members.filter((member) => member.view === view).map(({ slot }) => slot);
    return [...stepsBehind(plan, slots)].flatMap((index): StreamUse[] => {
      const step = plan.steps[index];
      const read = step?.kind === 'operator' || step?.kind === 'static' ? plan.streams[step.stream] : undefined;
      if (!read) return [];
      const { span, history } = step?.kind === 'operator' ? step.operator : ROW;
      return [{ view, stream: read.definition, span, history }];
    });
  });
}

function reachesOf(selection: Selection): readonly Reach[] {
  const known = reaches.get(selection);
  if (known) return known;
  const found = new Map<string, Reach>();
  for (const { view, stream, span, history } of usesOf(selection)) {
    const { name, retention } = stream;
    const key = `${view} ${name}`;
    const other = found.get(key) ?? { span: 0, history: 0 };
    const longest = { span: Math.max(span, other.span), history: Math.max(history, other.history) };
    found.set(key, { view, stream: name, retention, ...longest });
  }
  const all = [...found.values()];
  reaches.set(selection, all);
  return all;
}

function reachOf({ stream, eventTime, reach }: StreamBasis, { stream: name, history }: Reach): Micros {
  if (stream !== name) return Number.POSITIVE_INFINITY;
  if (history > 1) return reach;
  return Number.isNaN(eventTime) ? Number.NEGATIVE_INFINITY : eventTime;
}
