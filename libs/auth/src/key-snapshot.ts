/** Hot path. See docs/paths/predict.md. */
import { timestamp, type Clock } from '@sibyl/kernel';
import type { Database } from '@sibyl/database';
import type { ApiKey } from './api-key';
import type { AuthLog } from './auth-log';
import type { AuthOptions } from './auth-options';
import { KEY_COLUMNS, keyOfRow, type KeyRow } from './key-rows';
import { Networks } from './networks';
import { principalOf, type Principal } from './principal';
import { repeat } from './repeat';

/** Channel that is notified, without a payload, when a key has changed. */
export const KEY_CHANNEL = 'sibyl_auth_keys';

/** What the gate needs to know about the holder of a secret. */
export interface KeyEntry {
  readonly principal: Principal;
  readonly version: number;
  /** Infinity where there is no end. */
  readonly expiresAtMs: number;
  readonly revokedAtMs: number | undefined;
  readonly networks: Networks | undefined;
}

export interface SecretEntry {
  readonly keyId: string;
  readonly digest: Uint8Array;
  /** End of an old secret that a rotation has left valid for a while; Infinity otherwise. */
  readonly expiresAtMs: number;
}

/** All keys, in memory: what the gate reads. */
export interface KeyTable {
  secret(prefix: string): SecretEntry | undefined;
  key(keyId: string): KeyEntry | undefined;
  /** Milliseconds since the table was last known to be what the database says. */
  ageMs(): number;
}

/** A secret as it is stored. */
export interface StoredSecret extends SecretEntry {
  readonly prefix: string;
}

export interface KeySnapshotStatus {
  readonly keys: number;
  readonly activeKeys: number;
  readonly epoch: number;
  readonly ageMs: number;
  /** Past the limit on age: only `predict` is allowed. */
  readonly stale: boolean;
  readonly lastError?: string;
}

/** One row a secret; a single row without a key where nothing has changed. */
interface LoadedRow extends Omit<KeyRow, 'id'> {
  readonly id: string | null;
  readonly epoch: string;
  readonly secret_prefix: string | null;
  readonly digest: Buffer | null;
  readonly secret_expires_at: Date | null;
}

/**
 * The key table of this process. Entries are immutable and numbered by the change that made them; an entry is only
 * ever replaced by a newer one, so a load that began before a revocation cannot bring the key back. A load asks for
 * what has changed since the last complete one: nothing, mostly, in one indexed look-up.
 */
export class KeySnapshot implements KeyTable {
  private readonly secrets = new Map<string, SecretEntry>();
  private readonly keys = new Map<string, KeyEntry>();
  private epoch = 0;
  private confirmedAt = Number.NEGATIVE_INFINITY;
  private lastError: Error | undefined;
  private running: Promise<void> | undefined;
  private following: Promise<void> | undefined;
  private readonly stops: (() => void | Promise<void>)[] = [];

  constructor(
    private readonly database: Pick<Database, 'query' | 'listen'>,
    private readonly clock: Clock,
    private readonly options: AuthOptions,
    private readonly log: AuthLog,
  ) {}

  /** Loads all keys and follows their changes from now on. */
  async start(): Promise<void> {
    await this.refresh();
    this.stops.push(
      repeat(
        this.options.pollMs,
        () => this.refresh(),
        () => undefined,
      ),
    );
    this.stops.push(await this.database.listen(KEY_CHANNEL, () => void this.refresh().catch(() => undefined)));
  }

  async stop(): Promise<void> {
    await Promise.all(this.stops.splice(0).map(async (stop) => stop()));
    await this.running?.catch(() => undefined);
  }

  /** Resolves when every change committed before this call is in the table. One load at a time, at most one waiting. */
  refresh(): Promise<void> {
    if (!this.running) {
      this.running = this.load().finally(() => (this.running = undefined));
      return this.running;
    }
    // The load under way may have read before the change that this caller knows of; the next one has not.
    this.following ??= this.running
      .catch(() => undefined)
      .then(() => {
        this.following = undefined;
        return this.refresh();
      });
    return this.following;
  }

  /** Takes over a key that this process has just committed, before anybody is answered. */
  apply(key: ApiKey, secrets: readonly StoredSecret[] = []): void {
    const known = this.keys.get(key.id);
    if (known && known.version > key.version) return;
    for (const secret of secrets) {
      this.secrets.set(secret.prefix, secret);
    }
    this.keys.set(key.id, {
      principal: principalOf(key),
      version: key.version,
      expiresAtMs: key.expiresAtMs ?? Number.POSITIVE_INFINITY,
      revokedAtMs: key.revokedAtMs,
      networks: key.cidrs === undefined ? undefined : new Networks(key.cidrs),
    });
  }

  secret(prefix: string): SecretEntry | undefined {
    return this.secrets.get(prefix);
  }

  key(keyId: string): KeyEntry | undefined {
    return this.keys.get(keyId);
  }

  ageMs(): number {
    return this.clock.monotonic() - this.confirmedAt;
  }

  status(): KeySnapshotStatus {
    const now = this.clock.now();
    let activeKeys = 0;
    for (const key of this.keys.values()) {
      if (key.revokedAtMs === undefined && key.expiresAtMs > now) activeKeys++;
    }
    const ageMs = this.ageMs();
    return {
      keys: this.keys.size,
      activeKeys,
      epoch: this.epoch,
      ageMs,
      stale: ageMs > this.options.staleLimitMs,
      ...(this.lastError === undefined ? {} : { lastError: this.lastError.message }),
    };
  }

  private async load(): Promise<void> {
    const startedAt = this.clock.monotonic();
    try {
      while (!(await this.loadBatch()));
    } catch (caught) {
      const error = caught instanceof Error ? caught : new Error('the load failed', { cause: caught });
      // Once for an outage, not twice a second.
      if (this.lastError === undefined) this.log.warn({ err: error }, 'keys cannot be read; the last known ones go on');
      this.lastError = error;
      throw caught;
    }
    if (this.lastError !== undefined) this.log.info({ epoch: this.epoch }, 'keys can be read again');
    this.lastError = undefined;
    this.confirmedAt = startedAt;
  }

  /** Reads the next changes in their order, all from one statement and so from one moment; true when there are no more. */
  private async loadBatch(): Promise<boolean> {
    const shownSince = timestamp(this.clock.now() - this.options.revokedShownDays * 86_400_000);
    const rows = await this.database.query<LoadedRow>(
      `SELECT e.epoch, ${KEY_COLUMNS}, s.prefix AS secret_prefix, s.digest, s.expires_at AS secret_expires_at
       FROM auth.key_epoch e
       LEFT JOIN (SELECT * FROM auth.keys WHERE version > $1 ORDER BY version LIMIT $2) k ON true
       LEFT JOIN auth.key_secrets s ON s.key_id = k.id AND (k.revoked_at IS NULL OR k.revoked_at > $3)
       ORDER BY k.version`,
      [this.epoch, this.options.loadBatch, shownSince],
    );
    const ids = new Set<string>();
    for (const row of rows) {
      if (row.id === null) continue;
      ids.add(row.id);
      // A key that was revoked long ago comes without its secret and is not kept.
      if (row.secret_prefix === null || row.digest === null) continue;
      const key = keyOfRow({ ...row, id: row.id });
      this.apply(key, [secretOf(row, key.id, row.secret_prefix, row.digest)]);
    }
    const last = rows[rows.length - 1];
    const complete = ids.size < this.options.loadBatch;
    this.epoch = Math.max(this.epoch, Number((complete ? last?.epoch : last?.version) ?? 0));
    return complete;
  }
}

function secretOf(row: LoadedRow, keyId: string, prefix: string, digest: Buffer): StoredSecret {
  return { prefix, keyId, digest, expiresAtMs: row.secret_expires_at?.getTime() ?? Number.POSITIVE_INFINITY };
}
