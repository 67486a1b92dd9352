import { instantText, type Frame, type SetProgram } from '@sibyl/features';
import type { FeatureBasis } from '@sibyl/prediction';

/** What the values of one prediction were made from. With the log of events it is enough to make them again, to the last bit. */
export class PredictionBasis implements FeatureBasis {
  constructor(
    private readonly program: SetProgram,
    private readonly frames: readonly Frame[],
    /** Microseconds: the moment that was asked about. */
    private readonly at: number,
    /** What was known: undefined for a read of now, where each stream has what it had taken by then. */
    private readonly knownAt: number | undefined,
  ) {}

  get set(): string {
    return this.program.reference;
  }

  toJSON(): object {
    const { program, frames, at, knownAt } = this;
    const statuses: Record<string, unknown> = {};
    const values: Record<string, unknown> = {};
    const given: Record<string, unknown> = {};
    for (const { member, view, slot } of program.members) {
      const frame = frames[view];
      statuses[member.name] = frame?.statuses[slot];
      values[member.name] = frame?.values[slot];
    }
    program.programs.forEach(({ slots, plan }, view) => {
      const gave = frames[view]?.given?.values;
      if (!gave) return;
      for (const [name, slot] of slots) if (gave[slot] !== undefined) given[`${plan.view.name}:${name}`] = gave[slot];
    });
    const streams = frames.flatMap(({ basis }) => basis.map((one) => streamOf(one, at)));
    const known = knownAt === undefined ? {} : { known_at: instantText(knownAt) };
    const gave = Object.keys(given).length === 0 ? {} : { given };
    return { set: program.reference, at: instantText(at), ...known, values, statuses, ...gave, streams };
  }
}

function streamOf({ stream, entity, eventTime, eventId, arrived }: Frame['basis'][number], at: number): object {
  const none = Number.isNaN(eventTime);
  return {
    stream,
    entity,
    ...(none ? {} : { event_id: eventId, event_time: instantText(eventTime), age_seconds: (at - eventTime) / 1e6 }),
    // Also of what does not count yet, or any more: everything that was known is known again.
    ...(Number.isFinite(arrived) ? { ingested_at: instantText(arrived) } : {}),
  };
}
