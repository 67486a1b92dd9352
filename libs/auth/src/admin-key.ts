import { existsSync, readFileSync } from 'node:fs';
import { atomicWriteFile, DomainError, systemActor, timestamp, type Actor, type Clock } from '@sibyl/kernel';
import type { RecordChange } from '@sibyl/audit';
import type { Database } from '@sibyl/database';
import type { EntityManager } from 'typeorm';
import type { AuthLog } from './auth-log';
import type { KeyDigest } from './key-digest';
import { auditedCreation, auditedDifference } from './key-changes';
import type { KeySnapshot } from './key-snapshot';
import { rowsOf, type KeyOrigin, type KeyStore, type StoredKey } from './key-store';
import { newKeyText, parseKey } from './key-text';
import { scopesOfRole } from './scopes';

/** Who the first key comes from, in the audit log. */
const BOOTSTRAP: Actor = systemActor('bootstrap');

export interface AdminKeyOptions {
  /** The operator's own (`SIBYL_ADMIN_KEY`). */
  readonly presetKey?: string | undefined;
  /** Where a key that is made here is written. */
  readonly file: string;
}

/**
 * How the administrator gets in: by the preset key; by the key in the file, made at this start or an earlier one; or
 * not by anything that was found here (`lost`, and the log says what to do).
 */
export type AdminKeyOutcome = 'preset' | 'made' | 'kept' | 'lost';

export interface AdminKeyServices {
  readonly database: Pick<Database, 'transaction'>;
  readonly store: KeyStore;
  readonly digest: KeyDigest;
  readonly snapshot: Pick<KeySnapshot, 'apply'>;
  readonly clock: Clock;
  readonly log: AuthLog;
}

/** What the database knows of the text of a key. */
type Standing = 'malformed' | 'unknown' | 'mismatch' | 'unusable' | 'usable';

interface SecretRow {
  readonly digest: Buffer;
  readonly usable: boolean;
}

const NEW_KEY_HINT =
  'issue one with another key that has keys:grant, or start with SIBYL_ADMIN_KEY set to what `npm run key` prints';

/** Makes sure that an administrator's key exists, without ever making a second one behind anybody's back. */
export class AdminKey {
  constructor(private readonly services: AdminKeyServices) {}

  async ensure(options: AdminKeyOptions, record: RecordChange): Promise<AdminKeyOutcome> {
    const { database, store, snapshot } = this.services;
    const applied: StoredKey[] = [];
    const outcome = await database.transaction(async (tx) => {
      await store.lock(tx);
      applied.length = 0;
      const tracked: RecordedStore = { tx, record, applied };
      return options.presetKey === undefined
        ? this.ensureFile(tracked, options.file)
        : this.ensurePreset(tracked, options.presetKey);
    });
    for (const { key, secrets } of applied) snapshot.apply(key, secrets);
    return outcome;
  }

  private async ensurePreset(tracked: RecordedStore, text: string): Promise<AdminKeyOutcome> {
    const standing = await this.standingOf(tracked.tx, text);
    if (standing === 'malformed') {
      throw new DomainError('key_malformed', 'SIBYL_ADMIN_KEY is not a well-formed key; `npm run key` prints one.');
    }
    if (standing === 'mismatch') {
      const detail = 'SIBYL_ADMIN_KEY has the id of another key, or was made under another pepper.';
      throw new DomainError('key_unknown', detail);
    }
    if (standing === 'unusable') {
      this.services.log.error({}, `SIBYL_ADMIN_KEY was revoked, has expired or is no admin key; ${NEW_KEY_HINT}`);
      return 'lost';
    }
    if (standing === 'unknown') await this.add(tracked, text, 'preset');
    await this.revokeFormerPresets(tracked, text);
    return 'preset';
  }

  private async ensureFile(tracked: RecordedStore, file: string): Promise<AdminKeyOutcome> {
    const [known] = await rowsOf(
      tracked.tx.query("SELECT 1 FROM auth.keys WHERE role = 'admin' OR origin <> 'issued' LIMIT 1"),
    );
    if (!known) {
      const text = newKeyText();
      await this.add(tracked, text, 'bootstrap');
      // Before the commit: a crash in between leaves a file without a key, which the next start writes again;
      // the other way round it would leave a key that nobody knows.
      writeKey(file, text);
      return 'made';
    }
    const text = readIfThere(file)?.trim();
    if (text !== undefined && (await this.standingOf(tracked.tx, text)) === 'usable') return 'kept';
    const what =
      text === undefined ? 'the file of the admin key is gone' : 'the key in the admin key file is not valid';
    this.services.log.warn({ file }, `${what}; it cannot be shown again: ${NEW_KEY_HINT}`);
    return 'lost';
  }

  private async add({ tx, record, applied }: RecordedStore, text: string, origin: KeyOrigin): Promise<void> {
    const settings = { name: 'admin', role: 'admin', scopes: scopesOfRole('admin') };
    const made = await this.services.store.insert(tx, { text, settings, origin, createdBy: BOOTSTRAP.id });
    const resource = { type: 'key', id: made.key.id };
    await record(tx, { action: 'key.issue', resource, changes: auditedCreation(made.key) });
    applied.push(made);
  }

  private async revokeFormerPresets({ tx, record, applied }: RecordedStore, text: string): Promise<void> {
    const rows = await rowsOf<{ id: string }>(
      tx.query("SELECT id FROM auth.keys WHERE origin = 'preset' AND revoked_at IS NULL AND prefix <> $1 ORDER BY id", [
        parseKey(text)?.prefix,
      ]),
    );
    for (const { id } of rows) {
      const before = await this.services.store.find(tx, id);
      if (!before) continue;
      const after = await this.services.store.revoke(tx, id);
      const changes = auditedDifference(before, after);
      await record(tx, {
        action: 'key.revoke',
        resource: { type: 'key', id },
        changes,
        reason: 'another key was preset',
      });
      applied.push({ key: after, secrets: [] });
    }
  }

  private async standingOf(tx: EntityManager, text: string): Promise<Standing> {
    const { digest, clock } = this.services;
    const parsed = parseKey(text);
    if (!parsed) return 'malformed';
    const [row] = await rowsOf<SecretRow>(
      tx.query(
        `SELECT s.digest, k.role = 'admin' AND k.revoked_at IS NULL AND coalesce(k.expires_at > $2, true) AS usable
         FROM auth.key_secrets s JOIN auth.keys k ON k.id = s.key_id WHERE s.prefix = $1`,
        [parsed.prefix, timestamp(clock.now())],
      ),
    );
    if (!row) return 'unknown';
    if (!digest.matches(parsed.prefix, parsed.secret, row.digest)) return 'mismatch';
    return row.usable === true ? 'usable' : 'unusable';
  }
}

/** A transaction with where its changes are told. */
interface RecordedStore {
  readonly tx: EntityManager;
  readonly record: RecordChange;
  /** What the key table takes over once the transaction has committed. */
  readonly applied: StoredKey[];
}

function readIfThere(file: string): string | undefined {
  return existsSync(file) ? readFileSync(file, 'utf8') : undefined;
}

function writeKey(file: string, text: string): void {
  try {
    atomicWriteFile(file, `${text}\n`, 0o600);
  } catch (cause) {
    throw new DomainError('internal_error', 'The admin key could not be written to its file.', { cause });
  }
}
