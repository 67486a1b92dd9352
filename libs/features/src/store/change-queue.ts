import type { Database } from '@sibyl/database';
import { DomainError, type Clock } from '@sibyl/kernel';
import type { EntityManager } from 'typeorm';

/** Changes that wait for those before them, and for how long. */
const WAITING = 64;
const WAIT_MS = 10_000;

/**
 * One change of definitions after the other, of all processes: each sees what those before it did. Those of this process wait for
 * each other before they take a connection, so that no number of them takes those of others.
 */
export class ChangeQueue {
  private last: Promise<unknown> = Promise.resolve();
  private waiting = 0;

  constructor(
    private readonly database: Database,
    private readonly clock: Clock,
  ) {}

  /** Throws queue_full. */
  async run<T>(change: (tx: EntityManager) => Promise<T>): Promise<T> {
    if (this.waiting >= WAITING) throw new DomainError('queue_full', 'Too many definitions wait to be published.');
    this.waiting += 1;
    const since = this.clock.monotonic();
    const turn = this.last.then(() => {
      if (this.clock.monotonic() - since <= WAIT_MS) return this.alone(change);
      throw new DomainError('queue_full', 'The definition waited too long to be published.');
    });
    this.last = turn.catch(() => undefined);
    try {
      return await turn;
    } finally {
      this.waiting -= 1;
    }
  }

  private alone<T>(change: (tx: EntityManager) => Promise<T>): Promise<T> {
    return this.database.transaction(async (tx) => {
      await tx.query(`SELECT pg_advisory_xact_lock(hashtext('features.definitions'))`);
      return change(tx);
    });
  }
}
