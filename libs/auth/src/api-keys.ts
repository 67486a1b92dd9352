import { DomainError, isUuid, type Actor, type Clock } from '@sibyl/kernel';
import type { RecordChange } from '@sibyl/audit';
import type { Database } from '@sibyl/database';
import type { ApiKey, KeyDraft, KeyPatch } from './api-key';
import type { AuthOptions } from './auth-options';
import { issueAction, refuseLift } from './escalation';
import { auditedCreation, auditedDifference } from './key-changes';
import { KEY_COLUMNS, keyOfRow, type KeyRow } from './key-rows';
import { settingsOfDraft, settingsOfPatch } from './key-rules';
import type { KeySnapshot } from './key-snapshot';
import type { KeyStore } from './key-store';
import { newKeyText } from './key-text';
import type { KeyUsage } from './key-usage';
import type { Principal } from './principal';

export interface IssuedKey {
  /** The key itself, this once: it is stored nowhere. */
  readonly text: string;
  readonly key: ApiKey;
}

export interface KeyPage {
  readonly items: readonly ApiKey[];
  /** Cursor of the next page, where there is one. */
  readonly next?: string;
}

export interface KeyPageRequest {
  readonly limit?: number | undefined;
  readonly cursor?: string | undefined;
}

export interface KeyChange {
  readonly id: string;
  readonly patch: KeyPatch;
  /** The version that the caller has seen; another one is refused. */
  readonly ifVersion?: number | undefined;
}

export interface KeyServices {
  readonly database: Pick<Database, 'query' | 'transaction'>;
  readonly store: KeyStore;
  readonly snapshot: Pick<KeySnapshot, 'apply'>;
  readonly usage: Pick<KeyUsage, 'lastUsedMs'>;
  readonly clock: Clock;
  /** Awaited after a committed change and before its caller is answered, so that processes beside this one know it by then. */
  readonly onChange?: (() => Promise<void>) | undefined;
}

/**
 * Issues, lists, changes and revokes keys. Each change commits with its audit event and is in force in this process
 * before the call returns, in the others as soon as they are notified.
 */
export class ApiKeys {
  constructor(
    private readonly services: KeyServices,
    private readonly options: AuthOptions,
  ) {}

  async issue(actor: Actor, principal: Principal, draft: KeyDraft, record: RecordChange): Promise<IssuedKey> {
    const { database, store, snapshot, clock } = this.services;
    const settings = settingsOfDraft(draft, this.options, clock.now());
    const action = issueAction(principal, settings);
    const text = newKeyText();
    const stored = await database.transaction(async (tx) => {
      await store.lock(tx);
      if ((await store.liveKeys(tx)) >= this.options.keys) {
        throw new DomainError('invalid_parameter', `There may be ${this.options.keys} keys; revoke some first.`);
      }
      const made = await store.insert(tx, { text, settings, origin: 'issued', createdBy: actor.id });
      await record(tx, { action, resource: resourceOf(made.key), changes: auditedCreation(made.key) });
      return made;
    });
    snapshot.apply(stored.key, stored.secrets);
    await this.services.onChange?.();
    return { text, key: stored.key };
  }

  /** Newest first. */
  async list(page: KeyPageRequest = {}): Promise<KeyPage> {
    const limit = this.pageLimit(page.limit);
    const before = page.cursor === undefined ? null : idOfCursor(page.cursor);
    const rows = await this.services.database.query<KeyRow>(
      `SELECT ${KEY_COLUMNS}, u.last_used_at FROM auth.keys k LEFT JOIN auth.key_usage u ON u.key_id = k.id
       WHERE $1::uuid IS NULL OR k.id < $1::uuid ORDER BY k.id DESC LIMIT $2`,
      [before, limit + 1],
    );
    const items = rows.slice(0, limit).map((row) => this.withLastUse(keyOfRow(row)));
    const last = items[items.length - 1];
    return rows.length > limit && last ? { items, next: Buffer.from(last.id).toString('base64url') } : { items };
  }

  async find(id: string): Promise<ApiKey> {
    const [row] = isUuid(id)
      ? await this.services.database.query<KeyRow>(
          `SELECT ${KEY_COLUMNS}, u.last_used_at FROM auth.keys k LEFT JOIN auth.key_usage u ON u.key_id = k.id WHERE k.id = $1`,
          [id],
        )
      : [];
    if (!row) throw notFound();
    return this.withLastUse(keyOfRow(row));
  }

  async change(
    _actor: Actor,
    principal: Principal,
    { id, patch, ifVersion }: KeyChange,
    record: RecordChange,
  ): Promise<ApiKey> {
    const { database, store, snapshot, clock } = this.services;
    const after = await database.transaction(async (tx) => {
      await store.lock(tx);
      const before = isUuid(id) ? await store.find(tx, id) : undefined;
      if (!before) throw notFound();
      if (ifVersion !== undefined && ifVersion !== before.version) {
        throw new DomainError('etag_mismatch', 'The key has changed since it was read.');
      }
      if (before.revokedAtMs !== undefined) {
        throw new DomainError('invalid_parameter', 'The key was revoked; what is revoked stays as it was.');
      }
      const settings = settingsOfPatch(before, patch, this.options, clock.now());
      refuseLift(principal, before, settings);
      const changed = await store.update(tx, id, settings);
      await record(tx, {
        action: 'key.update',
        resource: resourceOf(changed),
        changes: auditedDifference(before, changed),
      });
      return changed;
    });
    snapshot.apply(after);
    await this.services.onChange?.();
    return this.withLastUse(after);
  }

  /** Revoking again answers the first time, and is on record again. */
  async revoke(_actor: Actor, id: string, record: RecordChange): Promise<{ id: string; revokedAtMs: number }> {
    const { database, store, snapshot, clock } = this.services;
    const revoked = await database.transaction(async (tx) => {
      await store.lock(tx);
      const before = isUuid(id) ? await store.find(tx, id) : undefined;
      if (!before) throw notFound();
      const after = before.revokedAtMs === undefined ? await store.revoke(tx, id) : before;
      await record(tx, {
        action: 'key.revoke',
        resource: resourceOf(after),
        changes: auditedDifference(before, after),
      });
      return after;
    });
    snapshot.apply(revoked);
    await this.services.onChange?.();
    return { id, revokedAtMs: revoked.revokedAtMs ?? clock.now() };
  }

  private withLastUse(key: ApiKey): ApiKey {
    const lastUsedAtMs = Math.max(key.lastUsedAtMs ?? 0, this.services.usage.lastUsedMs(key.id) ?? 0);
    return lastUsedAtMs === 0 ? key : { ...key, lastUsedAtMs };
  }

  private pageLimit(limit = this.options.pageSize): number {
    if (Number.isInteger(limit) && limit >= 1 && limit <= this.options.pageLimit) return limit;
    const expected = `a whole number from 1 to ${this.options.pageLimit}`;
    throw new DomainError('invalid_parameter', 'The page cannot be this large.', {
      faults: [{ pointer: '/limit', expected, received: String(limit) }],
    });
  }
}

function resourceOf(key: ApiKey): { type: string; id: string } {
  return { type: 'key', id: key.id };
}

function notFound(): DomainError {
  return new DomainError('key_not_found', 'There is no key with this id.');
}

function idOfCursor(cursor: string): string {
  const id = Buffer.from(cursor.slice(0, 100), 'base64url').toString('latin1');
  if (isUuid(id)) return id;
  throw new DomainError('invalid_parameter', 'The cursor is not one that a page has named.', {
    faults: [{ pointer: '/cursor', expected: 'the `next` of the page before' }],
  });
}
