import { instantText, type Explanation, type Micros, type ReadAnswer, type ReadRequest } from '@sibyl/features';

type Explained = Explanation['steps'][number];

/** Values of features, one list of values, statuses, times, ages and sources for each entity. */
export function toOnlineView(asked: ReadRequest, answer: ReadAnswer, totalMs: number): Record<string, unknown> {
  const { selection, at, knownAt, corrected, rows, unread, storage } = answer;
  const textOf = instants();
  const results = rows.map(({ status, values, statuses, times, sources }, i) => ({
    entity: asked.rows[i]?.entity,
    status,
    values,
    statuses,
    event_times: times.map(textOf),
    ages_ms: times.map((time) => (Number.isNaN(time) ? null : Math.max(0, Math.round((at - time) / 1000)))),
    sources,
  }));
  return {
    ...(selection.set === undefined ? {} : { set: `${selection.set.name}@${selection.set.hash.slice(7, 19)}` }),
    as_of: instantText(at),
    known_at: instantText(knownAt),
    corrected,
    names: selection.members.map(({ name }) => name),
    results,
    partial: rows.some(({ status }) => status !== 'OK'),
    ...(unread === undefined
      ? {}
      : { degraded: { reasons: [unread === 'deadline' ? 'deadline' : 'log_unavailable'] } }),
    timing: { total_ms: rounded(totalMs), storage_ms: rounded(storage / 1000) },
  };
}

/** Of the values of one entity most are as old as each other. */
function instants(): (time: Micros) => string | null {
  let last = Number.NaN;
  let text: string | null = null;
  return (time) => {
    if (Number.isNaN(time)) return null;
    if (time !== last) [last, text] = [time, instantText(time)];
    return text;
  };
}

function rounded(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}

export function toExplanationView({ at, feature, steps }: Explanation): Record<string, unknown> {
  return { as_of: instantText(at), feature, steps: steps.map(toStepView) };
}

function toStepView({ outputs, events, tiles, ...step }: Explained): Record<string, unknown> {
  return {
    ...step,
    outputs: outputs.map(({ eventTime, ...output }) => ({
      ...output,
      ...(eventTime === undefined ? {} : { event_time: instantText(eventTime) }),
    })),
    ...(events && {
      events: events.map(({ eventId, eventTime, ingestedAt, inputs, counts }) => ({
        event_id: eventId,
        event_time: instantText(eventTime),
        ingested_at: instantText(ingestedAt),
        inputs,
        ...(counts === undefined ? {} : { counts }),
      })),
    }),
    ...(tiles && { tiles: tiles.map(instantText) }),
  };
}
