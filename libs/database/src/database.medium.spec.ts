import { readFileSync } from 'node:fs';
import { DomainError } from '@sibyl/kernel';
import { eventually, freeze, isRunning, openFolder, processesOf, remove } from '../test/own-server';
import { Database } from './database';
import { isUniqueViolation } from './database-errors';
import type { Migration } from './migrations';
import { silentLog } from './testing';

const migrations: Migration[] = [
  {
    id: '0001_words',
    schema: 'words',
    sql: 'CREATE TABLE words.word (word text PRIMARY KEY); GRANT SELECT, INSERT ON words.word TO sibyl_app;',
  },
];

// A third of the real limits, so that the promise of 2 s is kept with room to spare on a busy machine.
const limits = { statementTimeoutMs: 500, silenceMs: 100, connectTimeoutMs: 500, heartbeatMs: 300 };

let folder: string;
let database: Database;
let postmaster: number;

async function outcome(work: () => Promise<unknown>): Promise<{ code: string; ms: number }> {
  const start = performance.now();
  const error: unknown = await work().then(
    () => undefined,
    (reason: unknown) => reason,
  );
  return { code: error instanceof DomainError ? error.code : String(error), ms: performance.now() - start };
}

async function postmasterPid(): Promise<number> {
  const [row] = await database.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
  return Number(/\) . (\d+)/.exec(readFileSync(`/proc/${row!.pid}/stat`, 'utf8'))![1]);
}

const unhandled: unknown[] = [];
const note = (error: unknown): number => unhandled.push(error);

beforeAll(async () => {
  process.on('unhandledRejection', note).on('uncaughtException', note);
  folder = openFolder();
  database = await Database.start({ ...limits, embeddedFolder: `${folder}/postgres`, migrations }, silentLog);
});

beforeEach(async () => {
  await eventually(() => database.status().up);
  postmaster = await postmasterPid();
});

afterAll(async () => {
  await database.close();
  remove(folder);
  process.off('unhandledRejection', note).off('uncaughtException', note);
  expect(unhandled).toEqual([]);
});

it('commits what a transaction did, and nothing of one that throws', async () => {
  await database.transaction((tx) => tx.query('INSERT INTO words.word VALUES ($1)', ['committed']));
  const failing = database.transaction(async (tx) => {
    await tx.query('INSERT INTO words.word VALUES ($1)', ['rolled back']);
    throw new DomainError('in_use', 'No.');
  });
  await expect(failing).rejects.toMatchObject({ code: 'in_use' });
  expect(await database.query('SELECT word FROM words.word')).toEqual([{ word: 'committed' }]);
});

it('leaves a violated key to the caller, with the name of the constraint', async () => {
  await database.query('INSERT INTO words.word VALUES ($1)', ['once']);
  const viaPool = database.query('INSERT INTO words.word VALUES ($1)', ['once']);
  const viaTransaction = database.transaction((tx) => tx.query('INSERT INTO words.word VALUES ($1)', ['once']));
  for (const attempt of [viaPool, viaTransaction]) {
    const error: unknown = await attempt.catch((reason: unknown) => reason);
    expect(error).not.toBeInstanceOf(DomainError);
    expect(isUniqueViolation(error)).toBe(true);
    expect(isUniqueViolation(error, 'word_pkey')).toBe(true);
    expect(isUniqueViolation(error, 'other')).toBe(false);
  }
});

it('reads with the audit role only what that role was granted', async () => {
  expect(await database.auditQuery('SELECT current_user::text AS "user"')).toEqual([{ user: 'sibyl_audit' }]);
  await expect(database.auditQuery('SELECT * FROM words.word')).rejects.toThrow('permission denied');
});

it('ends a statement that takes too long with database_unavailable, and stays up', async () => {
  expect(await outcome(() => database.query('SELECT pg_sleep(5)'))).toMatchObject({ code: 'database_unavailable' });
  expect(database.status().up).toBe(true);
});

it('gives a statement the time that its caller asks for, and only to that statement', async () => {
  const slow = 'SELECT pg_sleep(1) IS NULL AS asleep, current_setting($1) AS limit';
  const longer = { timeoutMs: 10_000 };
  const [alone] = await database.query<{ limit: string }>(slow, ['statement_timeout'], longer);
  const [inside] = await database.transaction<{ limit: string }[]>(
    (tx) => tx.query(slow, ['statement_timeout']),
    longer,
  );
  expect([alone!.limit, inside!.limit]).toEqual(['10s', '10s']);
  expect(await database.query(`SELECT current_setting('statement_timeout') AS limit`)).toEqual([{ limit: '500ms' }]);
});

it('fails every call within 2 s while the server is frozen, and works by itself when it wakes', async () => {
  await Promise.all(Array.from({ length: 5 }, () => database.query('SELECT 1')));
  const wake = freeze(postmaster);
  try {
    const calls = [
      ...Array.from({ length: 200 }, () => outcome(() => database.query('SELECT 1'))),
      outcome(() => database.auditQuery('SELECT 1')),
      outcome(() => database.transaction((tx) => tx.query('SELECT 1'))),
    ];
    for (const { code, ms } of await Promise.all(calls)) {
      expect(code).toBe('database_unavailable');
      expect(ms).toBeLessThan(2000);
    }
    await eventually(() => !database.status().up);
    // Known to be down: nobody waits any more.
    const later = await Promise.all(Array.from({ length: 1000 }, () => outcome(() => database.query('SELECT 1'))));
    expect(new Set(later.map(({ code }) => code))).toEqual(new Set(['database_unavailable']));
    expect(Math.max(...later.map(({ ms }) => ms))).toBeLessThan(1000);
    expect(database.status().pool.waiting).toBe(0);
  } finally {
    wake();
  }
  await eventually(() => database.status().up);
  expect(await database.query('SELECT 1 AS one')).toEqual([{ one: 1 }]);
});

it('notices a frozen server while nobody calls it', async () => {
  const wake = freeze(postmaster);
  await eventually(() => !database.status().up);
  wake();
  await eventually(() => database.status().up);
});

it('fails a transaction that is under way when the server freezes, and rolls it back', async () => {
  let wake = (): void => undefined;
  const result = await outcome(() =>
    database.transaction(async (tx) => {
      await tx.query('INSERT INTO words.word VALUES ($1)', ['half']);
      wake = freeze(postmaster);
      await tx.query('INSERT INTO words.word VALUES ($1)', ['whole']);
    }),
  );
  wake();
  expect(result.code).toBe('database_unavailable');
  expect(result.ms).toBeLessThan(2000);
  await eventually(() => database.status().up);
  await eventually(
    async () => (await database.query(`SELECT FROM words.word WHERE word IN ('half', 'whole')`)).length === 0,
  );
});

it('survives a killed server: calls fail, none hangs, and it works again when the server is back', async () => {
  process.kill(postmaster, 'SIGKILL');
  await eventually(() => !isRunning(postmaster));
  await eventually(async () => (await outcome(() => database.query('SELECT 1'))).code === 'undefined');
  expect(await postmasterPid()).not.toBe(postmaster);
}, 10_000);

it('hears notifications, and after an outage is told to look for itself', async () => {
  const heard: string[] = [];
  const end = await database.listen('words "changed"', (payload) => heard.push(payload));
  const failing = await database.listen('words "changed"', () => {
    throw new Error('a bad listener');
  });
  const notify = (payload: string): Promise<unknown> =>
    database.query('SELECT pg_notify($1, $2)', ['words "changed"', payload]);
  await notify('one');
  await eventually(() => heard.length === 1);

  process.kill(postmaster, 'SIGKILL');
  await eventually(() => heard.length === 2);
  await notify('two');
  await eventually(() => heard.length === 3);
  expect(heard).toEqual(['one', '', 'two']);

  end();
  failing();
  const last: string[] = [];
  await database.listen('words "changed"', (payload) => last.push(payload));
  await notify('three');
  await eventually(() => last.length === 1);
  expect(heard).toHaveLength(3);
}, 15_000);

it('serves a listener that comes while the server is down, as soon as it is back', async () => {
  const wake = freeze(postmaster);
  await eventually(() => !database.status().up);
  const heard: string[] = [];
  await database.listen('late', (payload) => heard.push(payload));
  wake();
  await eventually(() => heard.includes(''));
});

it('keeps the server small: few processes and no idle connection for longer than it must', async () => {
  expect(processesOf(postmaster).length).toBeLessThanOrEqual(8);
  const [settings] = await database.query(
    `SELECT current_setting('shared_buffers') AS buffers, current_setting('max_connections') AS connections`,
  );
  expect(settings).toEqual({ buffers: '64MB', connections: '50' });
});

it('refuses calls after it was closed, and may be closed twice', async () => {
  const place = openFolder();
  const other = await Database.start({ embeddedFolder: `${place}/postgres`, migrations }, silentLog);
  await Promise.all([other.close(), other.close()]);
  expect(await outcome(() => other.query('SELECT 1'))).toMatchObject({ code: 'database_unavailable' });
  remove(place);
});
