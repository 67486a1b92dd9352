import type { Database } from '@sibyl/database';
import { DomainError, type Clock } from '@sibyl/kernel';
import { MAX_SERIES_EVENTS } from '../engine/series';
import type { FeatureValue } from '../feature-value';
import type { Micros } from '../time';
import { plainArray, textArray } from './array-literal';
import type { EventHistory, HistoryAnswer, HistoryQuery } from './feature-event';
import type { StreamCatalog } from './stream-catalog';

/**
 * Events of one entity on one stream that are ever read at once; more, and the older ones are left out (`cut`). One more than
 * counts, so that whoever keeps them knows until when windows by time reach beyond what is kept.
 */
const MOST_EVENTS = MAX_SERIES_EVENTS + 1;

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
 * of each time the event that came last. Who asks for all that is committed is told of the same moment which stamp that goes up to.
 * The branches have the same shape, so that each stream goes through one of them.
 */
const branch = (identity: string, distinct: string): string => `
SELECT q.n, e.found, CASE WHEN q.known IS NULL THEN
  (SELECT l.ingested_at FROM features.latest l WHERE l.stream = q.stream AND l.entity = q.entity) END AS arrived
FROM q CROSS JOIN LATERAL (
  SELECT json_agg(json_build_array(x.event_time, x.ingested_at, x.event_id, x.log_only, x.vals)) AS found FROM (
    SELECT ${distinct} v.event_time, v.ingested_at, v.event_id, v.log_only, v.vals FROM features.event v
    WHERE v.retention_class = q.class AND v.stream = q.stream AND v.entity = q.entity
      AND v.event_time <= q.at AND v.event_time >= q.since AND (q.known IS NULL OR v.ingested_at <= q.known) AND (q.corrected OR NOT v.log_only)
    ORDER BY v.event_time DESC, v.ingested_at DESC, v.event_id DESC LIMIT q.most) x) e
WHERE ${identity}`;

export const HISTORY_SQL = `
WITH q AS MATERIALIZED (SELECT * FROM unnest($1::smallint[], $2::smallint[], $3::text[], $4::bigint[], $5::bigint[],
  $6::bigint[], $7::boolean[], $8::bigint[], $9::boolean[]) WITH ORDINALITY
  AS q (class, stream, entity, at, known, since, corrected, most, by_time, n))
${branch('q.by_time', 'DISTINCT ON (v.event_time)')}
UNION ALL
${branch('NOT q.by_time', '')}`;

/** The log as it lies in PostgreSQL, read by entity. */
export class LogHistory implements EventHistory {
  constructor(
    private readonly database: Database,
    private readonly streams: StreamCatalog,
    private readonly clock: Clock,
  ) {}

  async read(queries: readonly HistoryQuery[], deadline: Micros): Promise<readonly HistoryAnswer[]> {
    const asks = queries.map((query) => this.askOf(query));
    const answers = await this.ask(asks, deadline);
    // A window by time that holds fewer events than the others need is read again by their number; most streams have one kind.
    const short = asks.filter(({ query, since }, i) => since > 0 && (answers[i]?.events.length ?? 0) < query.events);
    if (short.length === 0) return answers;
    const more = await this.ask(short.map(byCount), deadline);
    short.forEach((ask, i) => (answers[asks.indexOf(ask)] = more[i] as HistoryAnswer));
    return answers;
  }

  private askOf(query: HistoryQuery): Ask {
    const stream = this.streams.kept(query.stream);
    if (!stream) throw new DomainError('stream_not_found', `There is no stream '${query.stream.slice(0, 64)}'.`);
    const { id, retentionClass, definition } = stream;
    const byTime = definition.identity === 'event_time';
    const ask = { query, stream: id, retentionClass, byTime, fields: definition.fields.length };
    if (query.since === undefined) return byCount({ ...ask, since: 0, most: 0 });
    return { ...ask, since: Math.max(query.since, 1), most: MOST_EVENTS + 1 };
  }

  private async ask(asks: readonly Ask[], deadline: Micros): Promise<HistoryAnswer[]> {
    if (asks.length === 0) return [];
    const queries = asks.map(({ query }) => query);
    const rows = await within(
      deadline / 1000 - this.clock.now(),
      this.database.query<{ n: string; found: Row[] | null; arrived: string | null }>(
        HISTORY_SQL,
        [
          plainArray(asks.map(({ retentionClass }) => retentionClass)),
          plainArray(asks.map(({ stream }) => stream)),
          textArray(queries.map(({ entity }) => entity)),
          plainArray(queries.map(({ at }) => at)),
          plainArray(queries.map(({ knownAt }) => (Number.isFinite(knownAt) ? knownAt : undefined))),
          plainArray(asks.map(({ since }) => since)),
          plainArray(queries.map(({ corrected }) => corrected)),
          plainArray(asks.map(({ most }) => most)),
          plainArray(asks.map(({ byTime }) => byTime)),
        ],
        { prepared: 'features_history' },
      ),
    );
    const answers: HistoryAnswer[] = asks.map(() => ({ events: [], whole: true, cut: false }));
    for (const { n, found, arrived } of rows) {
      const ask = asks[Number(n) - 1];
      // Events may outlive the row of their entity.
      const known = arrived === null || arrived === '0' ? {} : { arrived: Number(arrived) };
      if (ask) answers[Number(n) - 1] = { ...answerOf(ask, found ?? []), ...known };
    }
    return answers;
  }
}

function byCount(ask: Ask): Ask {
  return { ...ask, since: 0, most: Math.min(ask.query.events, MOST_EVENTS) + 1 };
}

function answerOf({ query, since, most, fields }: Ask, found: readonly Row[]): HistoryAnswer {
  const more = found.length === most;
  const events = (more ? found.slice(0, -1) : found)
    .map(([eventTime, ingestedAt, eventId, logOnly, values]) => ({
      stream: query.stream,
      entity: query.entity,
      eventTime,
      eventId,
      ingestedAt,
      logOnly,
      values: filled(values, fields),
    }))
    .reverse();
  const cut = more && most > MOST_EVENTS;
  return { events, whole: since === 0 && !more, cut };
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
