// npm run drill:features-training: training sets while the server is killed with SIGKILL, PostgreSQL stands still, is killed, or is
// gone for longer than anybody waits, and while the disk is full. Each ends as what it is: a set whose bytes are those that an
// undisturbed one has, or a failure with its code; and nothing is left behind. The full disk needs root.
//   --kills N   how often the server is killed (default 12)
//   --short     a few kills, and no outage that outlasts the server's patience
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { wholeArgument } from '../support/arguments.mjs';
import { postmasterOf } from '../support/processes.mjs';
import { startServer } from '../support/server.mjs';
import { freeze, signal, thaw } from './postgres-faults.mjs';
import { fillUp, moveToSmallDisk, unmountAll } from './small-disk.mjs';

const short = process.argv.includes('--short');
const kills = wholeArgument('--kills', short ? 4 : 12);
const ENTITIES = 40;
const BARS = 240;
const MINUTE = 60_000;
const DISK_MIB = 48;
const SHORT_OUTAGE_MS = 3_000;
const LONG_OUTAGE_MS = 45_000;
const ENDS_MS = 90_000;
const POLL_MS = 50;
const NOW = Math.floor(Date.now() / MINUTE) * MINUTE;
const BEGIN = NOW - BARS * MINUTE;
const VIEW = {
  kind: 'FeatureView',
  name: 'trained',
  entity: { name: 'symbol', type: 'string' },
  streams: [{ name: 'trained_bars', identity: 'event_time', fields: { close: 'double' }, retention: '30d' }],
  features: [
    { name: 'price', op: 'last', input: 'close' },
    { name: 'mean20', op: 'mean', input: 'close', window: 20 },
    { name: 'sum_1h', op: 'sum', input: 'close', window: '1h' },
  ],
};
const SET = {
  kind: 'FeatureSet',
  name: 'training',
  features: ['price', 'mean20', 'sum_1h'].map((n) => `trained:${n}`),
};

const misses = [];
const told = new Map();

async function must(server, method, route, body, status = 200) {
  const answer = await server.call(method, route, { body, timeoutMs: 30_000 });
  if (answer.status !== status) throw new Error(`${route}: ${answer.status} ${JSON.stringify(answer.body)}`);
  return answer.body;
}

async function prepare(server) {
  await must(server, 'PUT', '/v1/features/views/trained', VIEW);
  await must(server, 'PUT', '/v1/features/sets/training', { ...SET, on_missing: 'null' });
  for (let e = 0; e < ENTITIES; e++) {
    const events = Array.from({ length: BARS }, (_, i) => ({
      entity: `S${e}`,
      event_time: BEGIN + i * MINUTE,
      values: { close: Math.round((100 + Math.sin(i / 7 + e) * 10) * 100) / 100 },
    }));
    await must(server, 'POST', '/v1/features/push', { stream: 'trained_bars', events });
  }
  await sleep(1_000);
  return Date.now();
}

/** The same rows whenever it is asked for: `known` is a moment that has passed. */
const asked = (known, step, format = 'ndjson') => ({
  set: 'training',
  format,
  known_at: known,
  generate: { stream: 'trained_bars', from: BEGIN, to: NOW, step },
});

async function begin(server, body) {
  return (await must(server, 'POST', '/v1/features/historical', body, 202)).id;
}

async function ended(server, id) {
  const until = Date.now() + ENDS_MS;
  while (Date.now() < until) {
    const { status, body } = await server.call('GET', `/v1/operations/${id}`);
    if (status === 200 && body.status !== 'running') return body;
    if (status !== 200 && status !== 503) return { status: `unknown: ${status} ${body.code}` };
    await sleep(POLL_MS);
  }
  return { status: 'still running' };
}

async function digestOf(server, id) {
  const answer = await fetch(`${server.url}/v1/operations/${id}/result`, {
    headers: { 'x-api-key': server.adminKey },
  });
  const bytes = Buffer.from(await answer.arrayBuffer());
  return answer.status === 200 ? createHash('sha256').update(bytes).digest('hex') : `no file: ${answer.status}`;
}

/** What it came to, if that is one of the ends that are allowed; a set that is complete has all of its bytes. */
async function judge(server, where, id, { sha256, codes }) {
  const { status, error, result } = await ended(server, id);
  const said = status === 'failed' ? `failed with ${error?.code}` : status;
  told.set(said, (told.get(said) ?? 0) + 1);
  const file = await digestOf(server, id);
  if (status === 'succeeded') {
    if (file !== sha256 || result.sha256 !== sha256) misses.push(`${where}: it is complete, and has other bytes`);
    return result.file;
  }
  if (status !== 'failed' || !codes.includes(error?.code)) misses.push(`${where}: ${said}`);
  if (!file.startsWith('no file: 404')) misses.push(`${where}: ${said}, and has a file: ${file}`);
  return undefined;
}

const folderOf = (server) => path.join(server.dataDir, 'training-sets');

function emptyFolder(server) {
  for (const name of fs.readdirSync(folderOf(server))) fs.rmSync(path.join(folderOf(server), name));
}

function checkFolder(server, where, complete) {
  for (const name of fs.readdirSync(folderOf(server)))
    if (!complete.has(name)) misses.push(`${where}: ${name} was left behind`);
}

async function killed(server, known, sha256) {
  const complete = new Set();
  let cutOff = 0;
  for (let kill = 1; kill <= kills; kill++) {
    const body = asked(known, '1s');
    const ids = [await begin(server, body)];
    if (kill % 3 === 0) ids.push(await begin(server, body));
    await sleep(50 + Math.random() * 1_500);
    await server.kill9();
    await server.start();
    for (const id of ids) {
      const file = await judge(server, `kill ${kill}`, id, { sha256, codes: ['shutting_down'] });
      if (file) complete.add(file);
      else cutOff++;
    }
    checkFolder(server, `kill ${kill}`, complete);
  }
  if (cutOff === 0) misses.push('no kill has hit a set');
  console.log(`  ${kills} kills: ${cutOff} sets were cut off, ${complete.size} had been complete`);
  return complete;
}

/** One set, and what befalls PostgreSQL while it is made. */
async function disturbed(server, known, sha256, { where, codes, befall }) {
  const id = await begin(server, asked(known, '1s'));
  await sleep(300);
  await befall();
  const file = await judge(server, where, id, { sha256, codes });
  console.log(`  ${where}: ${file ? 'complete' : 'failed'}`);
  return file;
}

async function fullDisk(server, known) {
  await server.terminate();
  emptyFolder(server);
  if (!moveToSmallDisk(folderOf(server), DISK_MIB)) {
    console.log('  the disk was not filled: this user may not mount a file system');
    return;
  }
  await server.start();
  let full = 0;
  for (const format of ['ndjson', 'csv', 'parquet']) {
    for (const leave of [0, 10_000, 2_000_000]) {
      const filler = fillUp(folderOf(server), leave);
      const answer = await server.call('POST', '/v1/features/historical', { body: asked(known, '1s', format) });
      const end =
        answer.status === 202 ? await ended(server, answer.body.id) : { status: 'failed', error: answer.body };
      const said = `${end.status} ${end.error?.code ?? ''}`.trim();
      told.set(said, (told.get(said) ?? 0) + 1);
      if (said === 'failed storage_full') full++;
      else misses.push(`a full disk, ${format}, ${leave} bytes left: ${said}`);
      const online = await server.call('POST', '/v1/features/online', {
        body: { set: 'training', entities: [{ symbol: 'S1' }] },
      });
      if (online.status !== 200) misses.push(`a read while the disk is full: ${online.status}`);
      fs.rmSync(filler);
      checkFolder(server, `a full disk, ${format}`, new Set());
    }
    const { status } = await ended(server, await begin(server, asked(known, '1m', format)));
    if (status !== 'succeeded') misses.push(`with room on the disk again, ${format}: ${status}`);
    emptyFolder(server);
  }
  console.log(`  ${full} sets met a full disk`);
}

async function main() {
  const server = await startServer({ env: { SIBYL_MODELS: '' } });
  try {
    const known = new Date(await prepare(server)).toISOString();
    const first = await begin(server, asked(known, '1s'));
    const { status, result } = await ended(server, first);
    if (status !== 'succeeded') throw new Error(`undisturbed, it ended as ${status}`);
    console.log(`  undisturbed: ${result.rows} rows, ${result.bytes} bytes`);
    fs.rmSync(path.join(folderOf(server), result.file));
    const { sha256 } = result;
    const complete = await killed(server, known, sha256);
    const befalls = [
      { where: 'PostgreSQL stood still for 3 s', codes: [], ms: SHORT_OUTAGE_MS },
      ...(short
        ? []
        : [{ where: 'PostgreSQL stood still for 45 s', codes: ['database_unavailable'], ms: LONG_OUTAGE_MS }]),
    ].map(({ ms, ...one }) => ({
      ...one,
      befall: async () => {
        freeze(server.pid);
        await sleep(ms);
        thaw(server.pid);
      },
    }));
    befalls.push({
      where: 'PostgreSQL was killed',
      codes: ['database_unavailable'],
      befall: () => Promise.resolve(signal(postmasterOf(server.pid).pid, 'SIGKILL')),
    });
    for (const one of befalls) {
      const file = await disturbed(server, known, sha256, one);
      if (file) complete.add(file);
      checkFolder(server, one.where, complete);
    }
    await server.terminate();
    await server.start();
    checkFolder(server, 'after a restart', complete);
    await fullDisk(server, known);
    for (const miss of misses.slice(0, 20)) console.log(`missed: ${miss}`);
    console.log(`ended as ${JSON.stringify(Object.fromEntries(told))}`);
    console.log(`${misses.length} training sets were half there, wrong, without an end or left behind`);
    return misses.length === 0;
  } finally {
    await server.terminate();
    unmountAll();
    await server.stop();
  }
}

process.exitCode = (await main()) ? 0 : 1;
