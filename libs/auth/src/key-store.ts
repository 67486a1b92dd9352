import { invariant, OPERATOR, timestamp, type Clock, type IdSource } from '@sibyl/kernel';
import type { EntityManager } from 'typeorm';
import type { ApiKey } from './api-key';
import type { KeyDigest } from './key-digest';
import { KEY_COLUMNS, keyOfRow, type KeyRow } from './key-rows';
import type { KeySettings } from './key-rules';
import { KEY_CHANNEL, type StoredSecret } from './key-snapshot';
import { parseKey } from './key-text';

/** Where a key comes from: asked for, made at the first start, or set by the operator. */
export type KeyOrigin = 'issued' | 'bootstrap' | 'preset';

export interface NewKey {
  readonly text: string;
  readonly settings: KeySettings;
  readonly origin: KeyOrigin;
  readonly createdBy: string;
}

/** A key with the secret rows that the key table needs, as they stand inside a transaction. */
export interface StoredKey {
  readonly key: ApiKey;
  readonly secrets: readonly StoredSecret[];
}

/** The SQL of keys. Every change first takes the lock on the one row of `key_epoch`, so that all take their locks in one order. */
export class KeyStore {
  constructor(
    private readonly digest: KeyDigest,
    private readonly ids: IdSource,
    private readonly clock: Clock,
  ) {}

  /** Holds all other changes of keys off until commit. */
  async lock(tx: EntityManager): Promise<void> {
    await tx.query('SELECT epoch FROM auth.key_epoch FOR UPDATE');
  }

  /** The key with its row locked; undefined where there is none. */
  async find(tx: EntityManager, id: string): Promise<ApiKey | undefined> {
    const [row] = await rowsOf<KeyRow>(
      tx.query(
        `SELECT ${KEY_COLUMNS}, u.last_used_at FROM auth.keys k LEFT JOIN auth.key_usage u ON u.key_id = k.id WHERE k.id = $1`,
        [id],
      ),
    );
    return row && keyOfRow(row);
  }

  async liveKeys(tx: EntityManager): Promise<number> {
    const [row] = await rowsOf<{ count: string }>(
      tx.query('SELECT count(*) FROM auth.keys WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $1)', [
        timestamp(this.clock.now()),
      ]),
    );
    return Number(row?.count ?? 0);
  }

  async insert(tx: EntityManager, { text, settings, origin, createdBy }: NewKey): Promise<StoredKey> {
    const parsed = parseKey(text);
    invariant(parsed, 'a new key is well-formed');
    const now = timestamp(this.clock.now());
    const version = await this.announce(tx);
    const [row] = await rowsOf<KeyRow>(
      tx.query(
        `WITH k AS (
           INSERT INTO auth.keys (id, prefix, name, owner, role, scopes, models, cidrs, expires_at, rate_requests,
             rate_seconds, quota_requests, quota_period, origin, created_at, created_by, version, person)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, ${PERSON}) RETURNING *)
         SELECT ${KEY_COLUMNS} FROM k`,
        [this.ids.next(), parsed.prefix, ...settingColumns(settings), origin, now, createdBy, version],
      ),
    );
    invariant(row, 'an inserted key is returned');
    const digest = this.digest.of(parsed.prefix, parsed.secret);
    await tx.query(
      'INSERT INTO auth.key_secrets (prefix, key_id, digest, pepper_id, created_at) VALUES ($1, $2, $3, $4, $5)',
      [parsed.prefix, row.id, digest, this.digest.pepperId, now],
    );
    const secret = { prefix: parsed.prefix, keyId: row.id, digest, expiresAtMs: Number.POSITIVE_INFINITY };
    return { key: keyOfRow(row), secrets: [secret] };
  }

  async update(tx: EntityManager, id: string, settings: KeySettings): Promise<ApiKey> {
    const version = await this.announce(tx);
    const [row] = await rowsOf<KeyRow>(
      tx.query(
        `WITH k AS (
           UPDATE auth.keys SET name = $2, owner = $3, role = $4, scopes = $5, models = $6, cidrs = $7, expires_at = $8,
             rate_requests = $9, rate_seconds = $10, quota_requests = $11, quota_period = $12, version = $13
           WHERE id = $1 RETURNING *)
         SELECT ${KEY_COLUMNS}, u.last_used_at FROM k LEFT JOIN auth.key_usage u ON u.key_id = k.id`,
        [id, ...settingColumns(settings), version],
      ),
    );
    invariant(row, 'an updated key is returned');
    return keyOfRow(row);
  }

  async revoke(tx: EntityManager, id: string): Promise<ApiKey> {
    const version = await this.announce(tx);
    const [row] = await rowsOf<KeyRow>(
      tx.query(
        `WITH k AS (UPDATE auth.keys SET revoked_at = $2, version = $3 WHERE id = $1 AND revoked_at IS NULL RETURNING *)
         SELECT ${KEY_COLUMNS} FROM k`,
        [id, timestamp(this.clock.now()), version],
      ),
    );
    invariant(row, 'a revoked key is returned');
    return keyOfRow(row);
  }

  /** Numbers the change and tells every process of it, when and only when it commits. */
  private async announce(tx: EntityManager): Promise<string> {
    const [row] = await rowsOf<{ epoch: string }>(
      tx.query(`WITH next AS (UPDATE auth.key_epoch SET epoch = epoch + 1 RETURNING epoch)
        SELECT epoch, pg_notify('${KEY_CHANNEL}', '') FROM next`),
    );
    invariant(row, 'the epoch of keys exists');
    return row.epoch;
  }
}

/** The operator's keys are the operator's; each key that those issue is a person's, and so is all that is issued with that one. */
const PERSON = `CASE WHEN $14 <> 'issued' THEN '${OPERATOR}' ELSE COALESCE(
  (SELECT i.person FROM auth.keys i WHERE i.id::text = $16 AND i.person <> '${OPERATOR}'), $1::uuid::text) END`;

/** Gives the untyped rows of `EntityManager.query` their type. */
export async function rowsOf<T>(query: Promise<unknown>): Promise<T[]> {
  return (await query) as T[];
}

function settingColumns(settings: KeySettings): unknown[] {
  const { name, owner, role, scopes, models, cidrs, expiresAtMs, rateLimit, quota } = settings;
  return [
    name,
    owner ?? null,
    role ?? null,
    role === undefined ? scopes : null,
    models ?? null,
    cidrs ?? null,
    expiresAtMs === undefined ? null : timestamp(expiresAtMs),
    rateLimit?.requests ?? null,
    rateLimit?.seconds ?? null,
    quota?.requests ?? null,
    quota?.period ?? null,
  ];
}
