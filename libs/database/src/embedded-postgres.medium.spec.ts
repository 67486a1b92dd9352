import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Client } from 'pg';
import { eventually, freeze, isRunning, openFolder, processesOf, remove } from '../test/own-server';
import { EMBEDDED_SUPERUSER, EmbeddedPostgres } from './embedded-postgres';
import { serverAccount } from './server-account';
import { silentLog } from './testing';

const settings = { fsync: 'off' };
const isRoot = process.getuid?.() === 0;
let folder: string;
const started: EmbeddedPostgres[] = [];

async function start(place = path.join(folder, 'postgres')): Promise<EmbeddedPostgres> {
  const server = await EmbeddedPostgres.start({ folder: place, settings }, silentLog);
  started.push(server);
  return server;
}

async function ask<T>(server: EmbeddedPostgres, sql: string): Promise<T[]> {
  const client = new Client({ connectionString: server.url(EMBEDDED_SUPERUSER, 'postgres') });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return (await client.query(sql)).rows as T[];
  } finally {
    await client.end();
  }
}

const answers = (server: EmbeddedPostgres): Promise<boolean> =>
  ask(server, 'SELECT 1').then(
    () => true,
    () => false,
  );

beforeEach(() => {
  folder = openFolder();
});

afterEach(async () => {
  for (const server of started.splice(0)) {
    await server.stop();
    if (!server.folder.startsWith(folder)) remove(server.folder);
  }
  remove(folder);
});

it('keeps what was written when it is stopped and started again, and leaves no process behind', async () => {
  const first = await start();
  await ask(first, 'CREATE TABLE kept AS SELECT 42 AS answer');
  const processes = processesOf(first.pid!);
  await first.stop();
  await eventually(() => !processes.some(isRunning));

  const second = await start();
  expect(await ask(second, 'SELECT answer FROM kept')).toEqual([{ answer: 42 }]);
});

it('has no network address, and a folder and socket that only its own user can open', async () => {
  const server = await start();
  expect(await ask(server, 'SHOW listen_addresses')).toEqual([{ listen_addresses: '' }]);
  expect(statSync(server.folder).mode & 0o777).toBe(0o700);
  expect(statSync(path.join(server.address.host, '.s.PGSQL.5432')).mode & 0o077).toBe(0);
});

it('runs below a path with blanks, commas and quotes', async () => {
  const server = await start(path.join(folder, 'it\'s a "model, server"', 'postgres'));
  expect(await answers(server)).toBe(true);
});

it('runs below a path that is too long for a socket, and removes the short folder that it made for that', async () => {
  const server = await start(path.join(folder, 'x'.repeat(120), 'postgres'));
  expect(await answers(server)).toBe(true);
  expect(Buffer.byteLength(server.address.host)).toBeLessThan(90);
  await server.stop();
  expect(existsSync(server.address.host)).toBe(false);
});

it('is back by itself after the postmaster was killed, with everything that was committed', async () => {
  const server = await start();
  await ask(server, 'CREATE TABLE kept AS SELECT 42 AS answer');
  const killed = server.pid!;
  process.kill(killed, 'SIGKILL');
  await eventually(async () => server.pid !== killed && (await answers(server)));
  expect(await ask(server, 'SELECT answer FROM kept')).toEqual([{ answer: 42 }]);
}, 10_000);

it('is shared by a second starter, who takes over when the first one stops', async () => {
  const first = await start();
  const second = await start();
  expect(second.isShared).toBe(true);
  expect(second.pid).toBe(first.pid);
  await second.stop();
  expect(await answers(first)).toBe(true);

  const third = await start();
  await first.stop();
  await eventually(() => answers(third));
  expect(third.isShared).toBe(false);
});

it('comes up once when two starters race for a new folder', async () => {
  const [first, second] = await Promise.all([start(), start()]);
  expect(first.pid).toBe(second.pid);
  expect(new Set([first.isShared, second.isShared])).toEqual(new Set([false, true]));
});

it('makes a new cluster when an earlier start was killed while making one', async () => {
  const place = path.join(folder, 'postgres');
  mkdirSync(path.join(place, 'new-a1b2c3'), { recursive: true });
  writeFileSync(path.join(place, 'new-a1b2c3', 'PG_VERSION'), '18\n');
  expect(await answers(await start(place))).toBe(true);
  expect(existsSync(path.join(place, 'new-a1b2c3'))).toBe(false);
});

it('stops a frozen server too, and leaves no process behind', async () => {
  const server = await start();
  const processes = processesOf(server.pid!);
  freeze(server.pid!);
  await server.stop();
  expect(server.isShared).toBe(false);
  await eventually(() => !processes.some(isRunning));
});

it('does not outlive the process that started it, even when that is killed', async () => {
  const place = path.join(folder, 'postgres');
  const script = `
    require(${JSON.stringify(path.resolve('test/support/load-typescript.cjs'))});
    const { EmbeddedPostgres } = require(${JSON.stringify(path.join(__dirname, 'embedded-postgres.ts'))});
    const log = { debug() {}, info() {}, warn() {}, error() {} };
    EmbeddedPostgres.start({ folder: ${JSON.stringify(place)} }, log).then((server) => {
      console.log(server.pid);
      setInterval(() => {}, 1000);
    });`;
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  const processes = processesOf(Number(line.toString()));
  expect(processes.length).toBeGreaterThan(3);
  child.kill('SIGKILL');
  await eventually(() => !processes.some(isRunning));
});

it('refuses a data folder that another version of PostgreSQL has written, in its own words', async () => {
  const first = await start();
  await first.stop();
  const cluster = path.join(first.folder, '18');
  const version = readFileSync(path.join(cluster, 'PG_VERSION'), 'utf8');
  writeFileSync(path.join(cluster, 'PG_VERSION'), '12\n');
  await expect(start()).rejects.toThrow('not compatible with this version');
  writeFileSync(path.join(cluster, 'PG_VERSION'), version);
});

(isRoot ? it : it.skip)(
  'lies elsewhere, always at the same place, when its user cannot enter the data folder',
  async () => {
    const closed = path.join(folder, 'closed');
    mkdirSync(closed, { mode: 0o700 });
    const first = await start(path.join(closed, 'postgres'));
    expect(first.folder.startsWith(folder)).toBe(false);
    expect(statSync(first.folder).mode & 0o777).toBe(0o700);
    await ask(first, 'CREATE TABLE kept AS SELECT 42 AS answer');
    await first.stop();

    const second = await start(path.join(closed, 'postgres'));
    expect(await ask(second, 'SELECT answer FROM kept')).toEqual([{ answer: 42 }]);
  },
);

it('warns when its database lies where a machine cleans up at its start', async () => {
  const place = path.join(folder, 'postgres');
  const fleeting = mkdtempSync('/tmp/sibyl-fleeting-');
  const account = serverAccount();
  if (account) chownSync(fleeting, account.uid, account.gid);
  mkdirSync(place);
  writeFileSync(path.join(place, 'elsewhere'), `${fleeting}\n`);
  const warn = jest.fn();
  started.push(await EmbeddedPostgres.start({ folder: place, settings }, { ...silentLog, warn }));
  expect(warn).toHaveBeenCalledWith(
    expect.objectContaining({ folder: fleeting }),
    expect.stringContaining('all data would be lost'),
  );
});

it('waits for the server of another process where it may only join, and never starts one', async () => {
  const place = path.join(folder, 'postgres');
  const joining = EmbeddedPostgres.start({ folder: place, joinOnly: true }, silentLog);
  const owner = await start(place);
  const guest = await joining;
  expect([guest.isShared, guest.pid]).toEqual([true, owner.pid]);
  await guest.stop();
  expect(await answers(owner)).toBe(true);
  await owner.stop();
  const late = EmbeddedPostgres.start({ folder: place, joinOnly: true, startTimeoutMs: 300 }, silentLog);
  await expect(late).rejects.toThrow('no server runs on the folder');
});
