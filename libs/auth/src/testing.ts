import { randomBytes } from 'node:crypto';
import { invariant, SystemClock, UuidV7Source, type Actor, type Clock, type IdSource } from '@sibyl/kernel';
import type { ChangeRecord } from '@sibyl/audit';
import type { Database } from '@sibyl/database';
import type { EntityManager } from 'typeorm';
import { AdminKey } from './admin-key';
import { AnswerSeal } from './answer-seal';
import { ApiKeys } from './api-keys';
import type { AuthLog } from './auth-log';
import { AuthOptions } from './auth-options';
import type { ApiKey } from './api-key';
import { Gate } from './gate';
import { KeyDigest } from './key-digest';
import { KeySnapshot } from './key-snapshot';
import { newKeyText, parseKey, type ParsedKey } from './key-text';
import { IdempotencyStore } from './idempotency-store';
import { KeyStore } from './key-store';
import { KeyUsage } from './key-usage';
import type { Principal } from './principal';
import { SCOPES } from './scopes';
import { GcraThrottlerStorage } from './throttler-storage';

export { SCOPES, newKeyText, parseKey };

/** A caller who may predict, unless said otherwise. */
export function aPrincipal(overrides: Partial<Principal> = {}): Principal {
  const keyId = overrides.keyId ?? '00000000-0000-7000-8000-00000000a0a0';
  const name = overrides.name ?? 'a key';
  return {
    keyId,
    prefix: 'aaaaaaaaaaaa',
    name,
    scopes: ['predict'],
    actor: { type: 'key', id: keyId, keyId, name },
    ...overrides,
  };
}

/** A caller who may do everything. */
export const ROOT: Principal = aPrincipal({
  keyId: '00000000-0000-7000-8000-000000000f00',
  name: 'root',
  scopes: SCOPES,
});

export const ROOT_ACTOR: Actor = ROOT.actor;

/** A log that keeps its lines. */
export class LogLines implements AuthLog {
  readonly lines: { readonly level: 'info' | 'warn' | 'error'; readonly fields: object; readonly message: string }[] =
    [];

  info(fields: object, message: string): void {
    this.lines.push({ level: 'info', fields, message });
  }

  warn(fields: object, message: string): void {
    this.lines.push({ level: 'warn', fields, message });
  }

  error(fields: object, message: string): void {
    this.lines.push({ level: 'error', fields, message });
  }
}

/** Keeps the changes it is told of, instead of an audit trail. */
export class ChangeLog {
  readonly changes: ChangeRecord[] = [];
  readonly record = (_tx: EntityManager, change: ChangeRecord): Promise<void> => {
    this.changes.push(change);
    return Promise.resolve();
  };
}

export interface AuthParts {
  readonly database: Pick<Database, 'query' | 'transaction' | 'listen'>;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly options: AuthOptions;
  readonly secrets: AuthSecrets;
  readonly log: AuthLog;
}

/** The two secrets that a server keeps outside its database. */
export interface AuthSecrets {
  readonly pepper: Uint8Array;
  readonly answerKey: Uint8Array;
}

/** All parts of this library, put together as a server does it. */
export class Auth {
  readonly gate: Gate;
  readonly keys: ApiKeys;
  readonly adminKey: AdminKey;
  readonly snapshot: KeySnapshot;
  readonly usage: KeyUsage;
  readonly idempotency: IdempotencyStore;
  readonly throttlerStorage: GcraThrottlerStorage;

  constructor({ database, clock, ids, options, secrets, log }: AuthParts) {
    const digest = new KeyDigest(secrets.pepper);
    const store = new KeyStore(digest, ids, clock);
    this.snapshot = new KeySnapshot(database, clock, options, log);
    this.usage = new KeyUsage(database, clock, options, log);
    this.gate = new Gate(this.snapshot, digest, this.usage, clock, options);
    this.keys = new ApiKeys({ database, store, snapshot: this.snapshot, usage: this.usage, clock }, options);
    this.adminKey = new AdminKey({ database, store, digest, snapshot: this.snapshot, clock, log });
    this.idempotency = new IdempotencyStore(database, new AnswerSeal(secrets.answerKey), options, log);
    this.throttlerStorage = new GcraThrottlerStorage(this.gate.keyLimits);
  }

  async start(): Promise<void> {
    await this.snapshot.start();
    await this.usage.start();
    this.idempotency.start();
  }

  async stop(): Promise<void> {
    await Promise.all([this.snapshot.stop(), this.usage.stop(), this.idempotency.stop()]);
  }
}

/** Secrets as a server would have, new each time. */
export function someSecrets(): AuthSecrets {
  return { pepper: randomBytes(32), answerKey: randomBytes(32) };
}

/** All of auth over a database, with real time and ids unless others are given. */
export function anAuth(parts: Pick<AuthParts, 'database'> & Partial<AuthParts>): Auth {
  const clock = parts.clock ?? new SystemClock();
  return new Auth({
    clock,
    ids: new UuidV7Source(clock),
    options: new AuthOptions(),
    secrets: someSecrets(),
    log: new LogLines(),
    ...parts,
  });
}

/** A gate over keys that were never in a database. */
export class Door<C extends Clock> {
  readonly options = new AuthOptions();
  readonly digest = new KeyDigest(randomBytes(32));
  readonly snapshot: KeySnapshot;
  readonly usage: KeyUsage;
  gate: Gate;
  private count = 0;

  constructor(readonly clock: C) {
    const database = { query: () => Promise.resolve([]), listen: () => Promise.resolve(() => undefined) };
    this.snapshot = new KeySnapshot(database, clock, this.options, new LogLines());
    this.usage = new KeyUsage(database, clock, this.options, new LogLines());
    this.gate = new Gate(this.snapshot, this.digest, this.usage, clock, this.options);
  }

  add(overrides: Partial<ApiKey> = {}, secretExpiresAtMs = Number.POSITIVE_INFINITY): string {
    const text = newKeyText();
    const { prefix, secret } = parsedKey(text);
    const id = `key-${++this.count}`;
    const key = {
      id,
      prefix,
      name: id,
      scopes: ['predict'],
      createdAtMs: 0,
      createdBy: 'test',
      person: 'operator',
      version: this.count,
      ...overrides,
    };
    this.snapshot.apply(key, [
      { prefix, keyId: key.id, digest: this.digest.of(prefix, secret), expiresAtMs: secretExpiresAtMs },
    ]);
    return text;
  }
}

function parsedKey(text: string): ParsedKey {
  const parsed = parseKey(text);
  invariant(parsed, 'a new key is well-formed');
  return parsed;
}
