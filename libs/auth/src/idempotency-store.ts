import { createHash, randomUUID } from 'node:crypto';
import { DomainError, invariant } from '@sibyl/kernel';
import type { Database } from '@sibyl/database';
import type { AnswerSeal } from './answer-seal';
import type { AuthLog } from './auth-log';
import type { AuthOptions } from './auth-options';
import { repeat } from './repeat';

/** An answer that is given again to a repeated request. */
export interface StoredAnswer {
  readonly status: number;
  /** Those that make the answer what it is (Content-Type, Location, ETag), not those of the moment. */
  readonly headers: Readonly<Record<string, string>>;
  /** Absent where it was too large to be kept. */
  readonly body?: string;
}

/** The right to run a request under its Idempotency-Key; hand it back with `finish` or `release`. */
export interface IdempotencyLease {
  readonly id: string;
  readonly keyId: string;
  readonly idempotencyKey: string;
}

/** Either the request is to be run, or its answer is there already. */
export type IdempotencyStart =
  | { readonly kind: 'new'; readonly lease: IdempotencyLease }
  | { readonly kind: 'stored'; readonly answer: StoredAnswer };

interface Row {
  readonly fingerprint: string;
  readonly answer: Buffer | null;
}

/** Tries of `begin`: a row may vanish between two statements, when another request releases it. */
const BEGIN_TRIES = 3;

/** What two requests with one Idempotency-Key must have in common. */
export function requestFingerprint(method: string, path: string, body: Uint8Array | string): string {
  return createHash('sha256').update(`${method} ${path}\n`).update(body).digest('hex');
}

/** Remembers the answers of creating requests per key and Idempotency-Key, so that a repeat creates nothing twice. */
export class IdempotencyStore {
  private readonly running = new Set<string>();
  private readonly stops: (() => Promise<void>)[] = [];

  constructor(
    private readonly database: Pick<Database, 'query'>,
    private readonly seal: AnswerSeal,
    private readonly options: AuthOptions,
    private readonly log: AuthLog,
  ) {}

  /** Keeps leases of running requests alive and purges old answers, on timers. */
  start(): void {
    const warn = (error: unknown): void => this.log.warn({ err: error }, 'idempotency keys cannot be kept up');
    this.stops.push(repeat(this.options.idempotencyLeaseMs / 3, () => this.renew(), warn));
    this.stops.push(repeat(this.options.idempotencyPurgeMs, async () => void (await this.purge()), warn));
  }

  async stop(): Promise<void> {
    await Promise.all(this.stops.splice(0).map((stop) => stop()));
  }

  /** Claims the key for this request. Throws `idempotency_running` and `idempotency_conflict`. */
  async begin(keyId: string, idempotencyKey: string, fingerprint: string): Promise<IdempotencyStart> {
    this.checkKey(idempotencyKey);
    if (this.running.size >= this.options.idempotencyRunning) {
      throw new DomainError('queue_full', 'Too many requests with an Idempotency-Key are running.');
    }
    const lease: IdempotencyLease = { id: randomUUID(), keyId, idempotencyKey };
    for (let tries = 0; tries < BEGIN_TRIES; tries++) {
      if (await this.claim(lease, fingerprint)) {
        this.running.add(lease.id);
        return { kind: 'new', lease };
      }
      const row = await this.read(lease);
      if (row) return { kind: 'stored', answer: this.answerOf(row, lease, fingerprint) };
    }
    throw stillRunning();
  }

  /** Keeps the answer for a day and night; a 5xx is forgotten, so that the request may be tried again. */
  async finish(lease: IdempotencyLease, answer: StoredAnswer): Promise<void> {
    if (answer.status >= 500) return this.release(lease);
    this.running.delete(lease.id);
    const { body, ...rest } = answer;
    const kept = body === undefined || Buffer.byteLength(body) > this.options.idempotencyAnswerBytes ? rest : answer;
    // Only with its own lease: a request that was taken for dead must not overwrite the answer of its successor.
    await this.database.query(
      `WITH kept AS (
         UPDATE auth.idempotency SET answer = $4, leased_until = NULL, expires_at = now() + $5 * interval '1 ms'
         WHERE key_id = $1 AND idempotency_key = $2 AND lease = $3 AND answer IS NULL RETURNING 1)
       SELECT count(*) FROM kept`,
      [...placeOf(lease), lease.id, this.seal.seal(JSON.stringify(kept), place(lease)), this.options.idempotencyKeptMs],
    );
  }

  /** Gives the key free: the request did nothing, or failed in a way that a repeat may mend. */
  async release(lease: IdempotencyLease): Promise<void> {
    this.running.delete(lease.id);
    await this.database.query(
      `WITH gone AS (
         DELETE FROM auth.idempotency WHERE key_id = $1 AND idempotency_key = $2 AND lease = $3 AND answer IS NULL RETURNING 1)
       SELECT count(*) FROM gone`,
      [...placeOf(lease), lease.id],
    );
  }

  /** Deletes what has expired, in bounded batches; answers how many rows went. */
  async purge(): Promise<number> {
    let purged = 0;
    for (let round = 0; round < this.options.idempotencyPurgeRounds; round++) {
      const [row] = await this.database.query<{ count: string }>(
        `WITH old AS (
           SELECT key_id, idempotency_key FROM auth.idempotency WHERE expires_at < now() ORDER BY expires_at LIMIT $1
           FOR UPDATE SKIP LOCKED),
         gone AS (
           DELETE FROM auth.idempotency i USING old
           WHERE i.key_id = old.key_id AND i.idempotency_key = old.idempotency_key RETURNING 1)
         SELECT count(*) FROM gone`,
        [this.options.idempotencyPurgeBatch],
      );
      const count = Number(row?.count ?? 0);
      purged += count;
      if (count < this.options.idempotencyPurgeBatch) break;
    }
    return purged;
  }

  /** Says of all running requests that they live, in one statement. */
  async renew(): Promise<void> {
    if (this.running.size === 0) return;
    await this.database.query(
      `WITH renewed AS (
         UPDATE auth.idempotency SET leased_until = now() + $2 * interval '1 ms', expires_at = now() + $3 * interval '1 ms'
         WHERE lease = ANY ($1::uuid[]) AND answer IS NULL RETURNING 1)
       SELECT count(*) FROM renewed`,
      [[...this.running], this.options.idempotencyLeaseMs, this.options.idempotencyKeptMs],
    );
  }

  /** Takes a key that is free, has expired, or was left running by a process that gives no sign of life. */
  private async claim(lease: IdempotencyLease, fingerprint: string): Promise<boolean> {
    const rows = await this.database.query(
      `WITH claimed AS (
         INSERT INTO auth.idempotency AS i (key_id, idempotency_key, fingerprint, lease, leased_until, expires_at)
         VALUES ($1, $2, $3, $4, now() + $5 * interval '1 ms', now() + $6 * interval '1 ms')
         ON CONFLICT (key_id, idempotency_key) DO UPDATE SET fingerprint = excluded.fingerprint, lease = excluded.lease,
           leased_until = excluded.leased_until, expires_at = excluded.expires_at, answer = NULL
         WHERE i.expires_at < now()
           OR (i.answer IS NULL AND i.leased_until < now() AND i.fingerprint = excluded.fingerprint)
         RETURNING 1 AS mine)
       SELECT mine FROM claimed`,
      [...placeOf(lease), fingerprint, lease.id, this.options.idempotencyLeaseMs, this.options.idempotencyKeptMs],
    );
    return rows.length > 0;
  }

  private async read(lease: IdempotencyLease): Promise<Row | undefined> {
    const [row] = await this.database.query<Row>(
      'SELECT fingerprint, answer FROM auth.idempotency WHERE key_id = $1 AND idempotency_key = $2',
      placeOf(lease),
    );
    return row;
  }

  private answerOf(row: Row, lease: IdempotencyLease, fingerprint: string): StoredAnswer {
    if (row.fingerprint !== fingerprint) {
      throw new DomainError('idempotency_conflict', 'This Idempotency-Key was used with another request.');
    }
    if (row.answer === null) throw stillRunning();
    try {
      return parseAnswer(this.seal.open(row.answer, place(lease)));
    } catch (cause) {
      const detail = 'The answer kept under this Idempotency-Key cannot be read any more; use a new one.';
      throw new DomainError('idempotency_conflict', detail, { cause });
    }
  }

  private checkKey(idempotencyKey: string): void {
    if (idempotencyKey.length >= 1 && idempotencyKey.length <= this.options.idempotencyKeyLength) return;
    const expected = `1 to ${this.options.idempotencyKeyLength} characters`;
    throw new DomainError('invalid_parameter', 'The Idempotency-Key cannot be this long, nor empty.', {
      faults: [{ pointer: '/Idempotency-Key', expected, received: `${idempotencyKey.length} characters` }],
    });
  }
}

function stillRunning(): DomainError {
  return new DomainError('idempotency_running', 'A request with this Idempotency-Key is still running.');
}

function placeOf(lease: IdempotencyLease): [string, string] {
  return [lease.keyId, lease.idempotencyKey];
}

function place(lease: IdempotencyLease): string {
  return `${lease.keyId}\n${lease.idempotencyKey}`;
}

function parseAnswer(text: string): StoredAnswer {
  const answer: unknown = JSON.parse(text);
  invariant(
    typeof answer === 'object' && answer !== null && 'status' in answer && 'headers' in answer,
    'a stored answer',
  );
  return answer as StoredAnswer;
}
