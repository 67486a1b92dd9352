import type { Database } from '@sibyl/database';
import type { EntityManager } from 'typeorm';
import type { Micros } from '../time';

/** So long other processes can find out what they missed. */
export const INTAKE_KEPT: Micros = 3_600_000_000;
/** Commits that are forgotten at a time, and how many times in one run. */
const COMMITS = 20_000;
const ROUNDS = 200;
/** Cuts that one run drops; each is a transaction of its own, so that nobody waits long. */
const CUTS = 100;

export interface KeeperParts {
  readonly database: Database;
  readonly onDropped: () => void;
  readonly log: { info(fields: object, message: string): void; warn(fields: object, message: string): void };
}

/** Drops the cuts of the log that no stream keeps any more. Of all processes one does it at a time. */
export class LogKeeper {
  private timer: NodeJS.Timeout | undefined;
  private keeping: Promise<unknown> = Promise.resolve();
  private stopped = false;

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

  private schedule(): void {
    if (this.stopped) return;
    this.timer = setTimeout(() => {
      this.keeping = this.keep()
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
      const [row] = await tx.query<{ part: string | null }[]>('SELECT features.drop_stale_period() AS part');
      return row?.part ?? undefined;
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
