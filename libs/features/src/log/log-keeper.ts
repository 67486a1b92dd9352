import type { ChangeRecord, RecordChange } from '@sibyl/audit';
import type { Database } from '@sibyl/database';
import type { EntityManager } from 'typeorm';
import { instantText, type Micros } from '../time';
import { RETENTION_CLASSES } from './retention-class';

/** So long other processes can find out what they missed. */
export const INTAKE_KEPT: Micros = 3_600_000_000;
/** Commits that are forgotten at a time, and how many times in one run. */
const COMMITS = 20_000;
const ROUNDS = 200;
/** Cuts that one run drops; each is a transaction of its own, so that nobody waits long. */
const CUTS = 100;
/** Entities that one run looks at, a part in a transaction of its own each. */
const PART_ENTITIES = 2000;
const PARTS = 50;
/** Streams that an event names; of more it says how many. */
const NAMED = 100;

interface DroppedRow {
  readonly part: string;
  readonly retention_class: number;
  readonly from_time: string;
  readonly to_time: string;
  /** Those that had events in it. */
  readonly streams: readonly string[];
  readonly bytes: string;
  readonly events_about: string | null;
}

interface ForgottenRow {
  readonly after_stream: number | null;
  readonly after_entity: string | null;
  readonly gone: number;
}

export interface KeeperParts {
  readonly database: Database;
  readonly onDropped: () => void;
  /** Of what is done without a caller. */
  readonly record: RecordChange;
  readonly log: { info(fields: object, message: string): void; warn(fields: object, message: string): void };
}

/** Drops the cuts of the log that no stream keeps any more, each with an event, and forgets who is not in it any more. */
export class LogKeeper {
  private timer: NodeJS.Timeout | undefined;
  private keeping: Promise<unknown> = Promise.resolve();
  private stopped = false;
  /** Up to which entity the last run has come. */
  private after: { readonly stream: number; readonly entity: string } = { stream: -1, entity: '' };

  constructor(
    private readonly parts: KeeperParts,
    private readonly everyMs: number,
  ) {}

  start(): void {
    this.schedule();
  }

  async stop(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.timer);
    await this.keeping;
  }

  /** Answers the cuts that were dropped; none where another process is at it. */
  async keep(): Promise<readonly string[]> {
    // By itself: who reads the log for long holds up the cuts, and nothing else.
    await this.forgetCommits();
    const dropped: string[] = [];
    while (dropped.length < CUTS && !this.stopped) {
      const cut = await this.dropOne();
      if (cut === undefined) break;
      dropped.push(cut);
      this.parts.log.info({ partition: cut }, 'dropped events that no stream keeps any more');
    }
    if (dropped.length > 0) this.parts.onDropped();
    return dropped;
  }

  /** Forgets entities of which the log has nothing any more, some of all of them at a time; answers how many. */
  async forget(): Promise<number> {
    let gone = 0;
    for (let part = 0; part < PARTS && !this.stopped; part++) {
      const { stream, entity } = this.after;
      const [row] = await this.parts.database.query<ForgottenRow>(
        'SELECT after_stream, after_entity, gone FROM features.forget_gone_entities($1::smallint, $2, $3)',
        [stream, entity, PART_ENTITIES],
      );
      gone += row?.gone ?? 0;
      const ended = typeof row?.after_stream !== 'number';
      this.after = ended ? { stream: -1, entity: '' } : { stream: row.after_stream, entity: row.after_entity ?? '' };
      if (ended) break;
    }
    if (gone > 0) this.parts.log.info({ entities: gone }, 'forgot entities whose events are all gone');
    return gone;
  }

  private schedule(): void {
    if (this.stopped) return;
    this.timer = setTimeout(() => {
      this.keeping = this.keep()
        .then(() => this.forget())
        .catch((error: unknown) => this.parts.log.warn({ err: error }, 'stale events could not be dropped yet'))
        .finally(() => this.schedule());
    }, this.everyMs).unref();
  }

  private async forgetCommits(): Promise<void> {
    for (let round = 0; round < ROUNDS && !this.stopped; round++) {
      const forgotten = await this.alone(async (tx) => {
        const [row] = await tx.query<{ commits: number }[]>(
          `WITH old AS (SELECT id FROM features.intake WHERE last_stamp < features.now_us() - $1::bigint LIMIT $2),
             gone AS (DELETE FROM features.intake i USING old WHERE i.id = old.id RETURNING 1)
           SELECT count(*)::integer AS commits FROM gone`,
          [INTAKE_KEPT, COMMITS],
        );
        return row?.commits;
      });
      if (forgotten !== COMMITS) return;
    }
  }

  private dropOne(): Promise<string | undefined> {
    return this.alone(async (tx) => {
      const [row] = await tx.query<DroppedRow[]>('SELECT * FROM features.drop_stale_cut()');
      if (!row) return undefined;
      await this.parts.record(tx, dropOf(row));
      return row.part;
    });
  }

  /** Undefined where another process is at it. */
  private alone<T>(work: (tx: EntityManager) => Promise<T | undefined>): Promise<T | undefined> {
    return this.parts.database.transaction(async (tx) => {
      const [lock] = await tx.query<{ mine: boolean }[]>(
        `SELECT pg_try_advisory_xact_lock(hashtext('features.keeper')) AS mine`,
      );
      return lock?.mine === true ? work(tx) : undefined;
    });
  }
}

/** What an event says of a cut that is gone. */
function dropOf(row: DroppedRow): ChangeRecord {
  const { part, retention_class: retentionClass, streams, bytes, events_about: events } = row;
  return {
    action: 'feature.drop',
    resource: { type: 'feature_log', id: part },
    changes: {
      retention_class: RETENTION_CLASSES[retentionClass]?.cut,
      from: instantText(Number(row.from_time)),
      to: instantText(Number(row.to_time)),
      streams: streams.slice(0, NAMED),
      ...(streams.length > NAMED && { more_streams: streams.length - NAMED }),
      ...(events !== null && { events_about: Number(events) }),
      bytes: Number(bytes),
    },
  };
}
