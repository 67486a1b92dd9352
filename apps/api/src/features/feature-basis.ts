/** Hot path: written for each prediction with features of a set. */
import { instantText, type Frame, type SetSelection } from '@sibyl/features';
import type { FeatureBasis } from '@sibyl/prediction';

/** What the values of one prediction were made from. With the log of events it is enough to make them again, to the last bit. */
export class PredictionBasis implements FeatureBasis {
  constructor(
    private readonly selection: SetSelection,
    private readonly frames: readonly Frame[],
    /** Microseconds: the moment that was asked about. */
    private readonly at: number,
    /** What was known: undefined for a read of now, where each stream has what it had taken by then. */
    private readonly knownAt: number | undefined,
  ) {}

  get set(): string {
    return this.selection.reference;
  }

  /** `statuses` are those other than PRESENT, `ages` in seconds those of the newest event of each stream. */
  json(): string {
    const { selection, frames, at, knownAt } = this;
    let ages = '';
    for (const { basis } of frames)
      for (const { stream, eventTime } of basis)
        if (!Number.isNaN(eventTime)) ages += `${ages && ','}"${stream}":${(at - eventTime) / 1e6}`;
    const known = knownAt === undefined ? '' : `"known_at":"${instantText(knownAt)}",`;
    return `{"set":"${selection.reference}","at":"${instantText(at)}",${known}"ages":{${ages}},${lastingText(selection, frames)}}`;
  }
}

interface Written {
  readonly selection: SetSelection;
  readonly frames: readonly Frame[];
  readonly text: string;
}

/** A frame serves until something changes, many predictions mostly. */
const written = new WeakMap<Frame, Written>();

/** What does not change with the moment, as members of JSON. */
function lastingText(selection: SetSelection, frames: readonly Frame[]): string {
  const [first] = frames;
  const known = first && written.get(first);
  if (known?.selection === selection && known.frames.every((frame, i) => frame === frames[i])) return known.text;
  const text = JSON.stringify(lasting(selection, frames)).slice(1, -1);
  if (first) written.set(first, { selection, frames, text });
  return text;
}

function lasting(selection: SetSelection, frames: readonly Frame[]): object {
  const values: Record<string, unknown> = {};
  const statuses: Record<string, unknown> = {};
  const given: Record<string, unknown> = {};
  for (const { name, view, slot } of selection.members) {
    const frame = frames[view];
    values[name] = frame?.values[slot];
    if (frame?.statuses[slot] !== 'PRESENT') statuses[name] = frame?.statuses[slot];
  }
  selection.programs.forEach(({ slots, plan }, view) => {
    const gave = frames[view]?.given?.values;
    if (!gave) return;
    for (const [name, slot] of slots) if (gave[slot] !== undefined) given[`${plan.view.name}:${name}`] = gave[slot];
  });
  const streams = frames.flatMap(({ basis }) => basis.map(streamOf));
  return { values, statuses, ...(Object.keys(given).length === 0 ? {} : { given }), streams };
}

function streamOf({ stream, entity, eventTime, eventId, arrived }: Frame['basis'][number]): object {
  const newest = Number.isNaN(eventTime) ? {} : { event_id: eventId, event_time: instantText(eventTime) };
  // The latest arrival, also of what does not count yet, or any more: everything that was known is known again.
  const known = Number.isFinite(arrived) ? { ingested_at: instantText(arrived) } : {};
  return { stream, entity, ...newest, ...known };
}
