import { Client } from 'pg';
import { DomainError, OPERATOR } from '@sibyl/kernel';
import { createTestDatabase, type TestDatabase } from '@sibyl/database/testing';
import type { KeyDraft } from './api-key';
import { AuthOptions } from './auth-options';
import { newKeyText } from './key-text';
import { authMigrations } from './migrations';
import type { Principal } from './principal';
import { ROLES } from './scopes';
import { type Auth, anAuth, aPrincipal, ChangeLog, ROOT, ROOT_ACTOR } from './testing';

const TEAM: KeyDraft = { name: 'desk', role: 'team' };

function code(value: string): Error {
  return expect.objectContaining({ code: value }) as unknown as Error;
}

describe('ApiKeys', () => {
  let db: TestDatabase;
  let auth: Auth;
  let log: ChangeLog;

  beforeAll(async () => {
    db = await createTestDatabase(authMigrations);
    auth = anAuth({ database: db.database });
    await auth.snapshot.refresh();
  });

  beforeEach(() => {
    log = new ChangeLog();
  });

  afterAll(() => db.drop());

  it('issues a key with everything that was asked for, good at once', async () => {
    const draft: KeyDraft = {
      name: 'desk',
      owner: 'trading',
      scopes: ['predict:fraud_*', 'models:read'],
      models: ['fraud_*'],
      cidrs: ['192.0.2.0/24', '2001:db8::/32'],
      expiresAtMs: Date.now() + 3_600_000,
      rateLimit: { requests: 100, seconds: 60 },
      quota: { requests: 5_000_000_000, period: 'month' },
    };
    const { text, key } = await auth.keys.issue(ROOT_ACTOR, ROOT, draft, log.record);
    expect(key).toMatchObject({ ...draft, prefix: text.slice(3, 15), createdBy: ROOT.keyId });
    expect(auth.gate.authenticate(text, '192.0.2.1')).toMatchObject({
      keyId: key.id,
      quota: draft.quota,
      models: ['fraud_*'],
    });
    expect(await auth.keys.find(key.id)).toMatchObject({ ...key, lastUsedAtMs: expect.any(Number) as number });
  });

  it('gives each key the person behind it: who is issued one by the operator, whatever else is written of owners', async () => {
    const preset = newKeyText();
    await auth.adminKey.ensure({ presetKey: preset, file: '' }, log.record);
    const operator = auth.gate.authenticate(preset, '192.0.2.1');
    const issue = async (by: Principal, owner: string): Promise<Principal> => {
      const draft = { name: owner, owner, scopes: ['keys:write', 'models:promote'] };
      return auth.gate.authenticate((await auth.keys.issue(by.actor, by, draft, log.record)).text, '192.0.2.1');
    };
    const ann = await issue(operator, 'Ann');
    const ben = await issue(operator, 'Ben');
    const forged = await issue(await issue(ann, 'Carl'), 'Dora');
    const persons = [operator, ann, ben, forged].map(({ actor }) => actor.person);
    expect(persons).toEqual([OPERATOR, ann.keyId, ben.keyId, ann.keyId]);
    // Nor does a change of the key, or of its row.
    await auth.keys.change(ann.actor, ann, { id: forged.keyId, patch: { owner: 'Eve' } }, log.record);
    expect((await auth.keys.find(forged.keyId)).person).toBe(ann.keyId);
    for (const change of [`person = '${ben.keyId}'`, `created_by = '${ben.keyId}'`, "origin = 'preset'"])
      await expect(db.database.query(`UPDATE auth.keys SET ${change} WHERE id = $1`, [forged.keyId])).rejects.toThrow();
    // Another process reads the same.
    const beside = anAuth({ database: db.database });
    await beside.snapshot.refresh();
    expect(beside.snapshot.key(forged.keyId)?.principal.actor.person).toBe(ann.keyId);
  });

  it('records who got what with the change, and never the secret', async () => {
    const { text, key } = await auth.keys.issue(
      ROOT_ACTOR,
      ROOT,
      { ...TEAM, rateLimit: { requests: 1, seconds: 2 } },
      log.record,
    );
    await auth.keys.change(ROOT_ACTOR, ROOT, { id: key.id, patch: { name: 'other', rateLimit: null } }, log.record);
    await auth.keys.revoke(ROOT_ACTOR, key.id, log.record);
    expect(log.changes).toEqual([
      {
        action: 'key.issue',
        resource: { type: 'key', id: key.id },
        changes: {
          prefix: { before: null, after: key.prefix },
          name: { before: null, after: 'desk' },
          role: { before: null, after: 'team' },
          scopes: { before: null, after: ROLES.team },
          rate_limit: { before: null, after: { requests: 1, seconds: 2 } },
        },
      },
      {
        action: 'key.update',
        resource: { type: 'key', id: key.id },
        changes: {
          name: { before: 'desk', after: 'other' },
          rate_limit: { before: { requests: 1, seconds: 2 }, after: null },
        },
      },
      {
        action: 'key.revoke',
        resource: { type: 'key', id: key.id },
        changes: { revoked_at: { before: null, after: expect.any(String) as string } },
      },
    ]);
    expect(JSON.stringify(log.changes)).not.toContain(text.slice(16, 59));
  });

  it('records what only keys:grant allows as key.grant', async () => {
    const admin = aPrincipal({ scopes: ROLES.admin });
    await auth.keys.issue(admin.actor, admin, { name: 'c', role: 'compliance' }, log.record);
    await auth.keys.issue(admin.actor, admin, TEAM, log.record);
    expect(log.changes.map((change) => change.action)).toEqual(['key.grant', 'key.issue']);
  });

  it('changes nothing when the event cannot be written', async () => {
    const { key, text } = await auth.keys.issue(ROOT_ACTOR, ROOT, TEAM, log.record);
    const count = (await auth.keys.list({ limit: 1_000 })).items.length;
    const fails = (): Promise<void> => Promise.reject(new DomainError('audit_unavailable', 'full'));
    await expect(auth.keys.issue(ROOT_ACTOR, ROOT, TEAM, fails)).rejects.toThrow(code('audit_unavailable'));
    await expect(auth.keys.revoke(ROOT_ACTOR, key.id, fails)).rejects.toThrow(code('audit_unavailable'));
    await expect(auth.keys.change(ROOT_ACTOR, ROOT, { id: key.id, patch: { name: 'x' } }, fails)).rejects.toThrow(
      code('audit_unavailable'),
    );
    expect((await auth.keys.list({ limit: 1_000 })).items).toHaveLength(count);
    expect(await auth.keys.find(key.id)).toMatchObject({ name: 'desk', version: key.version });
    expect(auth.gate.authenticate(text, '192.0.2.1').name).toBe('desk');
  });

  it('lets nobody issue more than they have, and keeps nothing of the try', async () => {
    const limited = aPrincipal({ scopes: ['keys:write', 'predict'], cidrs: ['10.0.0.0/8'] });
    await expect(auth.keys.issue(limited.actor, limited, TEAM, log.record)).rejects.toThrow(code('scope_missing'));
    const open = { name: 'n', scopes: ['predict'] };
    await expect(auth.keys.issue(limited.actor, limited, open, log.record)).rejects.toThrow(code('scope_missing'));
    expect(log.changes).toEqual([]);
    const { key } = await auth.keys.issue(limited.actor, limited, { ...open, cidrs: ['10.1.0.0/16'] }, log.record);
    expect(key.cidrs).toEqual(['10.1.0.0/16']);
  });

  it('changes what a patch names, in force at once, and keeps keys from being lifted beyond the caller', async () => {
    const admin = aPrincipal({ scopes: ROLES.admin });
    const { key, text } = await auth.keys.issue(ROOT_ACTOR, ROOT, TEAM, log.record);
    const changed = await auth.keys.change(
      admin.actor,
      admin,
      { id: key.id, patch: { role: 'operator', owner: 'ops', cidrs: ['10.0.0.0/8'] } },
      log.record,
    );
    expect(changed).toMatchObject({ id: key.id, role: 'operator', owner: 'ops', cidrs: ['10.0.0.0/8'] });
    expect(changed.version).toBeGreaterThan(key.version);
    expect(() => auth.gate.authenticate(text, '192.0.2.1')).toThrow(code('address_forbidden'));
    expect(auth.gate.authenticate(text, '10.0.0.1').scopes).toEqual(ROLES.operator);
    const lift = { id: key.id, patch: { role: 'compliance' as const } };
    await expect(auth.keys.change(admin.actor, admin, lift, log.record)).rejects.toThrow(code('scope_missing'));
  });

  it('refuses a change of a version that the caller has not seen', async () => {
    const { key } = await auth.keys.issue(ROOT_ACTOR, ROOT, TEAM, log.record);
    const change = (ifVersion: number): Promise<unknown> =>
      auth.keys.change(ROOT_ACTOR, ROOT, { id: key.id, patch: { name: 'x' }, ifVersion }, log.record);
    await expect(change(key.version + 1)).rejects.toThrow(code('etag_mismatch'));
    await change(key.version);
    await expect(change(key.version)).rejects.toThrow(code('etag_mismatch'));
  });

  it('answers a second revocation with the time of the first, and records both', async () => {
    const { key } = await auth.keys.issue(ROOT_ACTOR, ROOT, TEAM, log.record);
    const first = await auth.keys.revoke(ROOT_ACTOR, key.id, log.record);
    const second = await auth.keys.revoke(ROOT_ACTOR, key.id, log.record);
    expect(first.id).toBe(key.id);
    expect(Math.abs(first.revokedAtMs - Date.now())).toBeLessThan(60_000);
    expect(second).toEqual(first);
    expect(log.changes.map((change) => change.action)).toEqual(['key.issue', 'key.revoke', 'key.revoke']);
    expect(log.changes[2]?.changes).toEqual({});
    await expect(auth.keys.change(ROOT_ACTOR, ROOT, { id: key.id, patch: { name: 'x' } }, log.record)).rejects.toThrow(
      code('invalid_parameter'),
    );
  });

  it('knows only keys that exist', async () => {
    for (const id of ['00000000-0000-7000-8000-0000000000ff', 'x', "' OR 1=1 --", '']) {
      await expect(auth.keys.find(id)).rejects.toThrow(code('key_not_found'));
      await expect(auth.keys.revoke(ROOT_ACTOR, id, log.record)).rejects.toThrow(code('key_not_found'));
      await expect(auth.keys.change(ROOT_ACTOR, ROOT, { id, patch: {} }, log.record)).rejects.toThrow(
        code('key_not_found'),
      );
    }
    expect(log.changes).toEqual([]);
  });

  it('lists all keys once, newest first, page by page', async () => {
    for (let i = 0; i < 5; i++) await auth.keys.issue(ROOT_ACTOR, ROOT, { ...TEAM, name: `k${i}` }, log.record);
    const all = (await auth.keys.list({ limit: 1_000 })).items.map((key) => key.id);
    expect(all).toEqual([...all].sort().reverse());
    const paged: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await auth.keys.list({ limit: 3, cursor });
      expect(page.items.length).toBeLessThanOrEqual(3);
      paged.push(...page.items.map((key) => key.id));
      cursor = page.next;
    } while (cursor !== undefined);
    expect(paged).toEqual(all);
    expect(await auth.keys.list({ limit: all.length })).not.toHaveProperty('next');
  });

  it('refuses pages and cursors that it did not name', async () => {
    for (const limit of [0, -1, 1.5, 1_001, Number.NaN]) {
      await expect(auth.keys.list({ limit })).rejects.toThrow(code('invalid_parameter'));
    }
    for (const cursor of ['', 'x', Buffer.from("' OR 1=1").toString('base64url')]) {
      await expect(auth.keys.list({ cursor })).rejects.toThrow(code('invalid_parameter'));
    }
  });

  it('keeps to the number of keys that may exist', async () => {
    const full = anAuth({ database: db.database, options: Object.assign(new AuthOptions(), { keys: 1 }) });
    await expect(full.keys.issue(ROOT_ACTOR, ROOT, TEAM, log.record)).rejects.toThrow(code('invalid_parameter'));
  });

  it('issues many keys at once without losing one', async () => {
    const issued = await Promise.all(
      Array.from({ length: 20 }, () => auth.keys.issue(ROOT_ACTOR, ROOT, TEAM, log.record)),
    );
    expect(new Set(issued.map(({ key }) => key.version)).size).toBe(20);
    const other = anAuth({ database: db.database });
    await other.snapshot.refresh();
    expect(other.snapshot.status().keys).toBe(auth.snapshot.status().keys);
  });

  it('leaves no secret in any column of any table', async () => {
    const { text, key } = await auth.keys.issue(ROOT_ACTOR, ROOT, TEAM, log.record);
    const secret = text.slice(16);
    const answer = { status: 201, headers: {}, body: JSON.stringify({ id: key.id, key: text }) };
    const start = await auth.idempotency.begin(key.id, 'k', 'f');
    if (start.kind === 'new') await auth.idempotency.finish(start.lease, answer);
    const dump = await everything(db.url);
    // The search must be able to find something: the prefix is there, in clear and once as bytes.
    expect(dump).toContain(key.prefix);
    for (const part of [text, secret, text.slice(16, 59), text.slice(20, 36)]) {
      for (const encoding of ['utf8', 'hex', 'base64'] as const) {
        expect(dump).not.toContain(Buffer.from(part).toString(encoding).replaceAll('=', ''));
      }
    }
    expect(await auth.idempotency.begin(key.id, 'k', 'f')).toEqual({ kind: 'stored', answer });
  });

  it('keeps the application from deleting keys', async () => {
    await expect(db.database.query('DELETE FROM auth.keys')).rejects.toThrow(/permission denied/);
    await expect(db.database.query('UPDATE auth.key_secrets SET digest = digest')).rejects.toThrow(/permission denied/);
    await expect(db.database.auditQuery('SELECT digest FROM auth.key_secrets')).rejects.toThrow(/permission denied/);
  });
});

/** Every row of every table as text, read by the superuser. */
async function everything(url: string): Promise<string> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    const { rows: tables } = await client.query<{ name: string }>(
      `SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')`,
    );
    let dump = '';
    for (const { name } of tables) {
      const { rows } = await client.query<{ line: string }>(`SELECT t::text AS line FROM ${name} t`);
      dump += rows.map((row) => row.line).join('\n');
    }
    return dump;
  } finally {
    await client.end();
  }
}
