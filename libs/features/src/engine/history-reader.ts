import type { EventHistory, FeatureEvent, HistoryAnswer, HistoryQuery } from '../log/feature-event';
import type { Micros } from '../time';
import type { HeldHistory } from './entity-state';
import { MAX_SERIES_EVENTS } from './series';
import { sinceOf, type StreamNeed } from './stream-need';

/** A long window with tiles is read in parts of MAX_SERIES_EVENTS: at most a million events, which are some 60 MB for that moment. */
const MAX_PARTS = 64;

/** One entity's events as a need asks for them. */
export interface HistoryAsk {
  readonly need: StreamNeed;
  readonly entity: string;
  /** Events beyond the need's own: for those of the live state that lie ahead of the moment. */
  readonly extra?: number;
  /** As of another moment than the others. */
  readonly view?: Viewpoint;
}

/** As of which moment, and by whom. */
export interface Viewpoint {
  /** What windows end at. */
  readonly at: Micros;
  /** The newest event time that is read: `at`, or beyond it for a state that lives on. */
  readonly upTo: Micros;
  /** Infinity: all that is committed. */
  readonly knownAt: Micros;
  readonly corrected: boolean;
  /** Moment at which the log need not answer any more. */
  readonly deadline: Micros;
}

/**
 * Reads histories of many entities in one statement; those with tiles that hold more than one read gives, on and on to the oldest
 * tile, as far as may be.
 */
export async function readHistories(
  log: EventHistory,
  asks: readonly HistoryAsk[],
  view: Viewpoint,
): Promise<HeldHistory[]> {
  const queries = asks.map((ask) => queryOf(ask, ask.view ?? view));
  const results = await log.read(queries, view.deadline);
  const histories: HeldHistory[] = [];
  for (const [i, ask] of asks.entries()) {
    const result = results[i];
    const query = queries[i];
    if (!result || !query) throw new RangeError('the log answered fewer queries than it was asked');
    if (result.cut && ask.need.folds.length > 0) histories.push(await readParts(log, query, result, ask.view ?? view));
    else histories.push({ ...result, since: knownSince(result, query.since) });
  }
  return histories;
}

function queryOf({ need, entity, extra = 0 }: HistoryAsk, view: Viewpoint): HistoryQuery {
  const since = sinceOf(need, view.at);
  return {
    stream: need.definition.name,
    entity,
    at: view.upTo,
    knownAt: view.knownAt,
    corrected: view.corrected,
    events: Math.min(MAX_SERIES_EVENTS, need.history + extra),
    ...(since !== undefined && { since }),
  };
}

/** Of what a read left out, it is known only that it lies at or before its oldest event. */
function knownSince(result: { events: readonly FeatureEvent[]; cut: boolean }, since: Micros | undefined): Micros {
  const oldest = result.events[0];
  if (result.cut && oldest) return oldest.eventTime + 1;
  return since ?? Number.POSITIVE_INFINITY;
}

async function readParts(
  log: EventHistory,
  query: HistoryQuery,
  { events: newest, arrived }: HistoryAnswer,
  view: Viewpoint,
): Promise<HeldHistory> {
  const parts: (readonly FeatureEvent[])[] = [];
  // What comes while the parts are read is heard of, and belongs to none of them.
  const known = { ...query, knownAt: Math.min(query.knownAt, arrived ?? query.knownAt) };
  const told = arrived === undefined ? {} : { arrived };
  let part = newest;
  for (let i = 0; i < MAX_PARTS; i++) {
    const oldest = part[0]?.eventTime;
    // Others of the same time may have been left out: the next part brings all of them.
    const complete = part.filter(({ eventTime }) => eventTime !== oldest);
    if (oldest === undefined || complete.length === 0) break;
    parts.unshift(complete);
    const [result] = await log.read([{ ...known, at: oldest }], view.deadline);
    if (!result) throw new RangeError('the log answered fewer queries than it was asked');
    if (!result.cut) {
      const since = knownSince(result, query.since);
      return { events: [...result.events, ...parts.flat()], whole: result.whole, since, ...told };
    }
    part = result.events;
  }
  const events = [...part, ...parts.flat()];
  return { events, whole: false, since: (part[0]?.eventTime ?? view.at) + 1, tilesCut: true, ...told };
}
