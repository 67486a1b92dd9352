import type { Database } from '@sibyl/database';
import { DomainError, type Clock } from '@sibyl/kernel';
import { MAX_SERIES_EVENTS } from '../engine/series';
import type { Micros } from '../time';
import { CHANGES_STATEMENT, changesParameters } from './changes-statement';
import type { ChangeHistory, ChangesQuery, FeatureEvent, HistoryAnswer, HistoryQuery } from './feature-event';
import {
  FEW_STATEMENT,
  historyParameters,
  historyStatement,
  NEWEST_STATEMENT,
  readFound,
  type FoundEvents,
  type HistoryAsk,
  type HistoryStatement,
} from './history-statement';
import type { KeptStream, StreamCatalog } from './stream-catalog';

/**
 * Events of one entity on one stream that are ever read at once; more, and the older ones are left out (`cut`). One more than
 * counts, so that whoever keeps them knows until when windows by time reach beyond what is kept.
 */
const MOST_EVENTS = MAX_SERIES_EVENTS + 1;

/** Measured: a read of so many takes a millisecond longer than by the statement for many, once that is planned. */
const FEW = 8;

const HISTORY = historyStatement(MOST_EVENTS);

/** The log as it lies in PostgreSQL, read by entity. */
export class LogHistory implements ChangeHistory {
  constructor(
    private readonly database: Database,
    private readonly streams: StreamCatalog,
    private readonly clock: Clock,
  ) {}

  async read(queries: readonly HistoryQuery[], deadline: Micros): Promise<readonly HistoryAnswer[]> {
    const asks = queries.map((query) => this.askOf(query));
    if (asks.length === 0) return [];
    const { sql, prepared, parameters } = callOf(asks);
    const rows = await within(
      deadline / 1000 - this.clock.now(),
      this.database.query<FoundEvents>(sql, parameters, { prepared }),
    );
    const found = asks.map((): Found => ({ newest: [], earlier: [], arrived: null }));
    for (const row of rows) {
      const ask = asks[Number(row.n) - 1];
      const ofAsk = found[Number(row.n) - 1];
      if (!ask || !ofAsk) continue;
      ofAsk[row.part] = readFound(ask, row);
      ofAsk.arrived ??= row.arrived;
    }
    return asks.map((ask, i) => answerOf(ask, found[i] as Found));
  }

  async readChanges(queries: readonly ChangesQuery[], deadline: Micros): Promise<readonly (readonly FeatureEvent[])[]> {
    const asks = queries.map((query) => {
      const { id, retentionClass, definition } = this.stream(query.stream);
      return { query, stream: id, retentionClass, fields: definition.fields.length };
    });
    const { sql, prepared } = CHANGES_STATEMENT;
    const rows = await within(
      deadline / 1000 - this.clock.now(),
      this.database.query<Omit<FoundEvents, 'part'>>(sql, changesParameters(asks), { prepared }),
    );
    const changes: (readonly FeatureEvent[])[] = asks.map(() => []);
    for (const row of rows) {
      const ask = asks[Number(row.n) - 1];
      if (ask) changes[Number(row.n) - 1] = readFound(ask, row);
    }
    return changes;
  }

  private stream(name: string): KeptStream {
    const stream = this.streams.kept(name);
    if (!stream) throw new DomainError('stream_not_found', `There is no stream '${name.slice(0, 64)}'.`);
    return stream;
  }

  private askOf(query: HistoryQuery): HistoryAsk {
    const { id, retentionClass, definition } = this.stream(query.stream);
    return {
      ...{ query, stream: id, retentionClass, byTime: definition.identity === 'event_time' },
      ...{ fields: definition.fields.length, count: Math.min(query.events, MOST_EVENTS), since: query.since },
    };
  }
}

function callOf(asks: readonly HistoryAsk[]): HistoryStatement & { readonly parameters: readonly unknown[] } {
  const asked = historyParameters(asks);
  if (asks.length <= FEW) return { ...FEW_STATEMENT, parameters: [...asked, MOST_EVENTS + 1] };
  const statement = asks.every(({ since }) => since === undefined) ? NEWEST_STATEMENT : HISTORY;
  return { ...statement, parameters: [...asked, asks.length] };
}

type Found = Record<FoundEvents['part'], FeatureEvent[]> & { arrived: FoundEvents['arrived'] };

function answerOf({ count }: HistoryAsk, { newest, earlier, arrived }: Found): HistoryAnswer {
  const whole = newest.length <= count;
  const cut = earlier.length > MOST_EVENTS - count;
  const wanted = [...newest.slice(0, count), ...(cut ? earlier.slice(0, -1) : earlier)];
  // Events may outlive the row of their entity.
  const known = arrived === null || arrived === '0' ? {} : { arrived: Number(arrived) };
  return { events: wanted.reverse(), whole, cut, ...known };
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
    if (limitMs <= 0) return await late;
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
