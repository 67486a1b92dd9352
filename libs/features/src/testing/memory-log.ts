import type { StreamIdentity } from '../definitions/feature-view';
import { MAX_SERIES_EVENTS } from '../engine/series';
import type { EventHistory, FeatureEvent, HistoryQuery } from '../log/feature-event';

type Read = Awaited<ReturnType<EventHistory['read']>>;

/** The log as an array: what a history is, written down as it is defined. */
export class MemoryLog implements EventHistory {
  readonly events: FeatureEvent[] = [];
  /** Reads so far, and queries in all of them. */
  reads = 0;
  queries = 0;
  /** Runs within each read, before (and `after` the snapshot, after) it looks at the events. */
  before: (() => Promise<void> | void) | undefined;
  after: (() => Promise<void> | void) | undefined;

  constructor(private readonly identities: ReadonlyMap<string, StreamIdentity>) {}

  async read(queries: readonly HistoryQuery[]): Promise<Read> {
    this.reads += 1;
    this.queries += queries.length;
    await this.before?.();
    const results = queries.map((query) => this.history(query));
    await this.after?.();
    return results;
  }

  private history(query: HistoryQuery): Read[number] {
    const known = this.events.filter(
      (event) =>
        event.stream === query.stream &&
        event.entity === query.entity &&
        event.eventTime <= query.at &&
        event.ingestedAt <= query.knownAt &&
        (query.corrected || !event.logOnly),
    );
    const unique = [...new Map(known.map((event) => [event.eventId, event])).values()].sort(byOrder);
    const counting =
      this.identities.get(query.stream) === 'event_time'
        ? [...new Map(unique.map((event) => [event.eventTime, event])).values()]
        : unique;
    const { since } = query;
    const arrived = Number.isFinite(query.knownAt) ? undefined : this.arrivedOf(query);
    const inTime = since === undefined ? 0 : counting.filter(({ eventTime }) => eventTime >= since).length;
    const wanted = Math.max(query.events, inTime);
    const events = counting.slice(-Math.min(wanted, MAX_SERIES_EVENTS + 1));
    return {
      events: wanted === 0 ? [] : events,
      whole: wanted >= counting.length && wanted <= MAX_SERIES_EVENTS + 1,
      cut: inTime > MAX_SERIES_EVENTS + 1,
      ...(arrived === undefined ? {} : { arrived }),
    };
  }

  private arrivedOf({ stream, entity }: HistoryQuery): number | undefined {
    const stamps = this.events
      .filter((one) => one.stream === stream && one.entity === entity)
      .map((one) => one.ingestedAt);
    return stamps.length === 0 ? undefined : stamps.reduce((a, b) => Math.max(a, b));
  }
}

function byOrder(a: FeatureEvent, b: FeatureEvent): number {
  return a.eventTime - b.eventTime || a.ingestedAt - b.ingestedAt || (a.eventId < b.eventId ? -1 : 1);
}
