/** Hot path: written for each prediction with features of a set. */
import { instantText, type Frame, type SetSelection } from '@sibyl/features';
import type { FeatureBasis } from '@sibyl/prediction';

/** What the values of one prediction were made from. With the log of events it is enough to make them again, to the last bit. */
export class PredictionBasis implements FeatureBasis {
  constructor(
    private readonly lasting: LastingBasis,
    /** Microseconds: the moment that was asked about. */
    private readonly at: number,
    /** What was known: undefined for a read of now, where each stream has what it had taken by then. */
    private readonly knownAt: number | undefined,
  ) {}

  get set(): string {
    return this.lasting.set;
  }

  /** `statuses` are those other than PRESENT, `ages` in seconds those of the newest event of each stream. */
  json(): string {
    const { lasting, at, knownAt } = this;
    const known = knownAt === undefined ? '' : `"known_at":"${instantText(knownAt)}",`;
    return `${lasting.head}"${instantText(at)}",${known}"ages":{${lasting.ages(at)}}${lasting.tail}`;
  }
}

/** The part of it that does not change with the moment, as JSON text: frames serve until something changes, many predictions mostly. */
export class LastingBasis {
  readonly set: string;
  readonly head: string;
  readonly tail: string;
  /** The streams with a newest event: the beginnings of their members, and when it was. */
  private readonly names: string[] = [];
  private readonly times: number[] = [];

  constructor(selection: SetSelection, frames: readonly Frame[]) {
    this.set = selection.reference;
    this.head = `{"set":"${selection.reference}","at":`;
    this.tail = `,${JSON.stringify(lastingOf(selection, frames)).slice(1)}`;
    const named = new Set<string>();
    for (const { basis } of frames) {
      for (const { stream, entity, eventTime } of basis) {
        // Views may share a stream, and read it by the same key or by another one.
        const name = named.has(stream) ? `${stream}@${entity}` : stream;
        if (Number.isNaN(eventTime) || named.has(`${stream}@${entity}`)) continue;
        named.add(stream).add(`${stream}@${entity}`);
        this.names.push(`${this.names.length > 0 ? ',' : ''}${JSON.stringify(name)}:`);
        this.times.push(eventTime);
      }
    }
  }

  ages(at: number): string {
    let text = '';
    for (let i = 0; i < this.names.length; i++)
      text += `${this.names[i] as string}${(at - (this.times[i] as number)) / 1e6}`;
    return text;
  }
}

function lastingOf(selection: SetSelection, frames: readonly Frame[]): object {
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
