import type { Database } from '@sibyl/database';
import { DomainError, type Clock } from '@sibyl/kernel';
import { MAX_SERIES_EVENTS } from '../engine/series';
import type { FeatureValue } from '../feature-value';
import type { Micros } from '../time';
import { plainArray, textArray } from './array-literal';
import type { ChangeHistory, ChangesQuery, FeatureEvent, HistoryQuery } from './feature-event';
import type { LoggedStream, StreamCatalog } from './stream-catalog';

/**
 * Events of one entity on one stream that are ever read at once; more, and the older ones are left out (`cut`). One more than
 * counts, so that whoever keeps them knows until when windows by time reach beyond what is kept.
 */
const MOST_EVENTS = MAX_SERIES_EVENTS + 1;

interface Answer {
  readonly events: readonly FeatureEvent[];
  readonly whole: boolean;
  readonly cut: boolean;
}

/** One query as the statement takes it. */
interface Ask {
  readonly query: HistoryQuery;
  readonly stream: number;
  readonly retentionClass: number;
  readonly byTime: boolean;
  readonly fields: number;
  readonly since: Micros;
  /** One more than is wanted, so that it shows whether there are more. */
  readonly most: number;
}

type Row = [eventTime: number, ingestedAt: number, eventId: string, logOnly: boolean, values: FeatureValue[]];

/*
 * Newest first, by the primary key of one cut of the log after the other, and no further than what is wanted. Corrections:
 * of each time the event that came last. The branches have the same shape, so that each stream goes through one of them.
 */
const branch = (identity: string, distinct: string): string => `
SELECT q.n, e.found FROM q CROSS JOIN LATERAL (
  SELECT json_agg(json_build_array(x.event_time, x.ingested_at, x.event_id, x.log_only, x.vals)) AS found FROM (
    SELECT ${distinct} v.event_time, v.ingested_at, v.event_id, v.log_only, v.vals FROM features.event v
    WHERE v.retention_class = q.class AND v.stream = q.stream AND v.entity = q.entity
      AND v.event_time <= q.at AND v.event_time >= q.since AND v.ingested_at <= q.known AND (q.corrected OR NOT v.log_only)
    ORDER BY v.event_time DESC, v.ingested_at DESC, v.event_id DESC LIMIT q.most) x) e
WHERE ${identity}`;

export const HISTORY_SQL = `
WITH q AS MATERIALIZED (SELECT * FROM unnest($1::smallint[], $2::smallint[], $3::text[], $4::bigint[], $5::bigint[],
  $6::bigint[], $7::boolean[], $8::bigint[], $9::boolean[]) WITH ORDINALITY
  AS q (class, stream, entity, at, known, since, corrected, most, by_time, n))
${branch('q.by_time', 'DISTINCT ON (v.event_time)')}
UNION ALL
${branch('NOT q.by_time', '')}`;

/*
 * What a walk through time comes across: every version of an event, so that each moment finds the one that it knew. In the order
 * of time, so that a long way is read in parts.
 */
export const CHANGES_SQL = `
WITH q AS MATERIALIZED (SELECT * FROM unnest($1::smallint[], $2::smallint[], $3::text[], $4::bigint[], $5::bigint[],
  $6::bigint[], $7::boolean[], $8::bigint[], $9::bigint[], $10::bigint[]) WITH ORDINALITY
  AS q (class, stream, entity, at, known, since, corrected, most, seen_at, seen_known, n))
SELECT q.n, e.found FROM q CROSS JOIN LATERAL (
  SELECT json_agg(json_build_array(x.event_time, x.ingested_at, x.event_id, x.log_only, x.vals)) AS found FROM (
    SELECT v.event_time, v.ingested_at, v.event_id, v.log_only, v.vals FROM features.event v
    WHERE v.retention_class = q.class AND v.stream = q.stream AND v.entity = q.entity
      AND v.event_time <= q.at AND v.event_time >= q.since AND v.ingested_at <= q.known AND (q.corrected OR NOT v.log_only)
      AND (v.event_time > q.seen_at OR v.ingested_at > q.seen_known)
    ORDER BY v.event_time LIMIT q.most) x) e`;

/** The log as it lies in PostgreSQL, read by entity. */
export class LogHistory implements ChangeHistory {
  constructor(
    private readonly database: Database,
    private readonly streams: StreamCatalog,
    private readonly clock: Clock,
  ) {}

  async read(queries: readonly HistoryQuery[], deadline: Micros): Promise<readonly Answer[]> {
    const asks = queries.map((query) => this.askOf(query));
    const answers = await this.ask(asks, deadline);
    // A window by time that holds fewer events than the others need is read again by their number; most streams have one kind.
    const short = asks.filter(({ query, since }, i) => since > 0 && (answers[i]?.events.length ?? 0) < query.events);
    if (short.length === 0) return answers;
    const more = await this.ask(short.map(byCount), deadline);
    short.forEach((ask, i) => (answers[asks.indexOf(ask)] = more[i] as Answer));
    return answers;
  }

  async readChanges(queries: readonly ChangesQuery[], deadline: Micros): Promise<readonly (readonly FeatureEvent[])[]> {
    const streams = queries.map(({ stream }) => this.stream(stream));
    const rows = await within(
      deadline / 1000 - this.clock.now(),
      this.database.query<{ n: string; found: Row[] | null }>(
        CHANGES_SQL,
        [
          plainArray(streams.map(({ retentionClass }) => retentionClass)),
          plainArray(streams.map(({ id }) => id)),
          textArray(queries.map(({ entity }) => entity)),
          plainArray(queries.map(({ at }) => at)),
          plainArray(queries.map(({ knownAt }) => knownAt)),
          plainArray(queries.map(({ since }) => since)),
          plainArray(queries.map(({ corrected }) => corrected)),
          plainArray(queries.map(({ most }) => most)),
          plainArray(queries.map(({ seen }) => seen.at)),
          plainArray(queries.map(({ seen }) => seen.knownAt)),
        ],
        { prepared: 'features_changes' },
      ),
    );
    const answers: (readonly FeatureEvent[])[] = queries.map(() => []);
    for (const { n, found } of rows) {
      const index = Number(n) - 1;
      const [query, stream] = [queries[index], streams[index]];
      if (!query || !stream) continue;
      const { fields } = stream.definition;
      answers[index] = (found ?? []).map((row) => eventOf(query, fields.length, row));
    }
    return answers;
  }

  private stream(name: string): LoggedStream {
    const stream = this.streams.stream(name);
    if (!stream) throw new DomainError('stream_not_found', `There is no stream '${name.slice(0, 64)}'.`);
    return stream;
  }

  private askOf(query: HistoryQuery): Ask {
    const stream = this.stream(query.stream);
    const { id, retentionClass, definition } = stream;
    const byTime = definition.identity === 'event_time';
    const ask = { query, stream: id, retentionClass, byTime, fields: definition.fields.length };
    if (query.since === undefined) return byCount({ ...ask, since: 0, most: 0 });
    return { ...ask, since: Math.max(query.since, 1), most: MOST_EVENTS + 1 };
  }

  private async ask(asks: readonly Ask[], deadline: Micros): Promise<Answer[]> {
    if (asks.length === 0) return [];
    const queries = asks.map(({ query }) => query);
    const rows = await within(
      deadline / 1000 - this.clock.now(),
      this.database.query<{ n: string; found: Row[] | null }>(
        HISTORY_SQL,
        [
          plainArray(asks.map(({ retentionClass }) => retentionClass)),
          plainArray(asks.map(({ stream }) => stream)),
          textArray(queries.map(({ entity }) => entity)),
          plainArray(queries.map(({ at }) => at)),
          plainArray(queries.map(({ knownAt }) => knownAt)),
          plainArray(asks.map(({ since }) => since)),
          plainArray(queries.map(({ corrected }) => corrected)),
          plainArray(asks.map(({ most }) => most)),
          plainArray(asks.map(({ byTime }) => byTime)),
        ],
        { prepared: 'features_history' },
      ),
    );
    const answers: Answer[] = asks.map(() => ({ events: [], whole: true, cut: false }));
    for (const { n, found } of rows) {
      const ask = asks[Number(n) - 1];
      if (ask) answers[Number(n) - 1] = answerOf(ask, found ?? []);
    }
    return answers;
  }
}

function byCount(ask: Ask): Ask {
  return { ...ask, since: 0, most: Math.min(ask.query.events, MOST_EVENTS) + 1 };
}

function answerOf({ query, since, most, fields }: Ask, found: readonly Row[]): Answer {
  const more = found.length === most;
  const events = (more ? found.slice(0, -1) : found).map((row) => eventOf(query, fields, row)).reverse();
  const cut = more && most > MOST_EVENTS;
  return { events, whole: since === 0 && !more, cut };
}

function eventOf(
  { stream, entity }: Pick<HistoryQuery, 'stream' | 'entity'>,
  fields: number,
  [eventTime, ingestedAt, eventId, logOnly, values]: Row,
): FeatureEvent {
  return { stream, entity, eventTime, eventId, ingestedAt, logOnly, values: filled(values, fields) };
}

/** Fields that the stream got after the event are null in it. */
function filled(values: FeatureValue[], fields: number): FeatureValue[] {
  while (values.length < fields) values.push(null);
  return values;
}

/** What takes longer is not waited for; the statement itself ends by its own limit. */
async function within<T>(limitMs: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const end = (): void => reject(new DomainError('deadline_exceeded', 'The events could not be read in time.'));
    timer = setTimeout(end, Math.max(0, limitMs));
  });
  work.catch(() => undefined);
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
