// npm run drill:registry: while aliases move and versions arrive, the server is killed with SIGKILL at random moments, and
// every third time PostgreSQL instead. Nothing may be half moved or half registered: an alias is what its history says, each
// move that was answered is in it, each has exactly one event, no folder is left behind, and the same bytes register again.
//   --times N   how often (default 20)
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { wholeArgument } from '../support/arguments.mjs';
import { postmasterOf } from '../support/processes.mjs';
import { startServer } from '../support/server.mjs';
import { signal } from './postgres-faults.mjs';
import { readEvents } from './recorded-events.mjs';
import { MODEL, production, promote, rollback, upload } from './versioned-models.mjs';

const times = wholeArgument('--times', 20);
const LONGEST_LIFE_MS = 700; // a registration takes about 300 ms, a move 30: kills fall into every step of both
const DATABASE_EVERY = 3;
const RECOVERY_MS = 20_000;
const FIRST_MOVE_MS = 10_000;
const REGISTRARS = 2;

const seen = {
  moves: new Map(), // revision → version, of answers
  moved: 0,
  cut: 0, // calls that nobody answered
  refused: new Map(),
  uploaded: new Set(), // versions whose registration was answered with success
  begun: new Set(), // those that were sent, answered or not
};
let nextVersion = 10;

function refuse(answer) {
  const name = `${answer.status} ${answer.body?.code ?? ''}`;
  seen.refused.set(name, (seen.refused.get(name) ?? 0) + 1);
}

/** Undefined where the connection broke: what became of the call, nobody was told. */
async function attempt(call) {
  try {
    return await call();
  } catch {
    seen.cut += 1;
    await sleep(20);
    return undefined;
  }
}

/** Promotes and rolls back, each time with the ETag that it saw last. */
async function mover(server, life) {
  let alias = await attempt(() => production(server));
  while (life.on) {
    if (alias?.status === 200) {
      const { etag } = alias.body;
      const back = Math.random() < 0.3 && alias.body.revision > 1;
      const call = back ? () => rollback(server, etag) : () => promote(server, 1 + Math.floor(Math.random() * 3), etag);
      const answer = await attempt(call);
      if (answer?.status === 200) {
        seen.moves.set(answer.body.revision, answer.body.version);
        seen.moved += 1;
      } else if (answer) refuse(answer);
    }
    alias = await attempt(() => production(server));
  }
}

async function registrar(server, life) {
  while (life.on) {
    const version = nextVersion++;
    seen.begun.add(version);
    const answer = await attempt(() => upload(server, version));
    if (answer && answer.status < 300) seen.uploaded.add(version);
    else if (answer) refuse(answer);
  }
}

/** One life of the server under load, up to its end or that of its database. */
async function live(server, kill) {
  const life = { on: true };
  const loops = [mover(server, life), ...Array.from({ length: REGISTRARS }, () => registrar(server, life))];
  await firstMove();
  await sleep(Math.random() * LONGEST_LIFE_MS);
  if (kill % DATABASE_EVERY === 0) {
    const postmaster = postmasterOf(server.pid);
    if (postmaster) signal(postmaster.pid, 'SIGKILL');
    await sleep(LONGEST_LIFE_MS / 2);
    life.on = false;
    await Promise.all(loops);
    await recovered(server);
  } else {
    await server.kill9();
    life.on = false;
    await Promise.all(loops);
    await server.start();
  }
}

/** Until an alias has moved in this life, so that faults fall among moves on a slow machine too. */
async function firstMove() {
  const until = performance.now() + FIRST_MOVE_MS;
  for (const before = seen.moved; seen.moved === before && performance.now() < until;) await sleep(5);
}

async function recovered(server) {
  const until = performance.now() + RECOVERY_MS;
  while ((await attempt(() => production(server)))?.status !== 200) {
    if (performance.now() > until) throw new Error('the database did not come back');
    await sleep(100);
  }
}

async function pages(server, route, member) {
  const items = [];
  for (let cursor; ;) {
    const { status, body } = await server.call('GET', `${route}?limit=1000${cursor ? `&cursor=${cursor}` : ''}`);
    if (status !== 200) throw new Error(`${route}: ${status} ${JSON.stringify(body)}`);
    items.push(...body[member]);
    if (!body.next) return items;
    cursor = encodeURIComponent(body.next);
  }
}

/** In what the alias is not what the fold of its history gives, or the history not what callers were told. */
async function halfMoved(server) {
  const found = [];
  const history = (await pages(server, `/v1/models/${MODEL}/history`, 'items')).reverse();
  let state;
  history.forEach((event, i) => {
    if (event.revision !== i + 1) found.push(`revision ${event.revision} in place ${i + 1}`);
    if (event.previous_version !== state)
      found.push(`revision ${i + 1} comes from ${event.previous_version}, not ${state}`);
    state = event.version;
  });
  const { body } = await production(server);
  if (body.version !== state || body.revision !== history.length)
    found.push(`the alias is at ${body.version} (${body.revision}), its history ends at ${state} (${history.length})`);
  for (const [revision, version] of seen.moves)
    if (history[revision - 1]?.version !== version)
      found.push(`the answered move ${revision} to ${version} is not there`);
  return { found, history };
}

const folderOf = (server, name) => path.join(server.dataDir, 'artifacts', name);
const entries = (folder) => (fs.existsSync(folder) ? fs.readdirSync(folder) : []);

/** What a restart has left lying: folders of work that has ended, and packages that no version names. */
function leaked(server, versions) {
  const digests = new Set(versions.map(({ digest }) => digest.replace('sha256:', '')));
  return [
    ...['staging', 'uploads'].flatMap((name) => entries(folderOf(server, name)).map((entry) => `${name}/${entry}`)),
    ...entries(folderOf(server, 'packages'))
      .filter((name) => !digests.has(name))
      .map((name) => `packages/${name}`),
  ];
}

async function versionsOf(server) {
  const { body } = await server.call('GET', `/models/${MODEL}/versions`);
  return body.versions;
}

/** Sends what was cut off once more, byte for byte; then every version must be whole. */
async function completed(server) {
  const found = [];
  for (const version of seen.begun) {
    if (seen.uploaded.has(version)) continue;
    const answer = await upload(server, version);
    if (answer.status === 200 || answer.status === 201) seen.uploaded.add(version);
    else found.push(`version ${version} again: ${answer.status} ${answer.body.code}`);
  }
  const versions = await versionsOf(server);
  const present = new Map(versions.map(({ version, status }) => [version, status]));
  for (const version of seen.uploaded)
    if (!['validated', 'active'].includes(present.get(String(version))))
      found.push(`version ${version} is ${present.get(String(version)) ?? 'not there'}`);
  return found;
}

/** Exactly one event for each move of the history and each version. */
async function miscounted(server, history) {
  const found = [];
  const events = [];
  for (const action of ['model.promote', 'model.rollback', 'model.register'])
    events.push(...((await readEvents(server, action)) ?? []).filter(({ outcome }) => outcome === 'succeeded'));
  const count = (matches) => events.filter(matches).length;
  for (const { revision, version } of history) {
    const own = ({ action, model, changes }) =>
      action !== 'model.register' &&
      changes?.revision === revision &&
      changes.version.from !== changes.version.to &&
      model.version === version;
    if (count(own) !== 1) found.push(`the move ${revision} has ${count(own)} events`);
  }
  const moves = count(({ action }) => action !== 'model.register');
  // A move to where the alias was already is an event of its own, and no row of the history.
  const idle = count(
    ({ action, changes }) => action === 'model.promote' && changes.version.from === changes.version.to,
  );
  if (moves - idle !== history.length)
    found.push(`${moves} events of moves, ${idle} of them idle, for ${history.length} rows`);
  for (const version of seen.uploaded) {
    const created = ({ action, model, changes }) =>
      action === 'model.register' && model.version === String(version) && changes?.status?.from === null;
    if (count(created) !== 1) found.push(`version ${version} was registered by ${count(created)} events`);
  }
  return found;
}

async function main() {
  const server = await startServer({ env: { SIBYL_MODELS: '' } });
  const misses = [];
  try {
    for (const version of [1, 2, 3]) await upload(server, version);
    await promote(server, 1);
    for (let kill = 1; kill <= times; kill++) {
      await live(server, kill);
      const { found } = await halfMoved(server);
      // What a living server cleans up after calls that lost their database takes a moment.
      if (kill % DATABASE_EVERY === 0) await sleep(500);
      const left = leaked(server, await versionsOf(server));
      const open = kill % DATABASE_EVERY === 0 ? [] : left.map((name) => `left behind: ${name}`);
      misses.push(...[...found, ...open].map((miss) => `after fault ${kill}: ${miss}`));
    }
    misses.push(...(await completed(server)));
    const { found, history } = await halfMoved(server);
    misses.push(...found, ...(await miscounted(server, history)));
    misses.push(...leaked(server, await versionsOf(server)).map((name) => `left behind at the end: ${name}`));
    console.log(
      `${times} faults, ${Math.floor(times / DATABASE_EVERY)} of them of PostgreSQL; ${seen.moved} moves answered, ` +
        `${history.length} in the history; ${seen.begun.size} registrations begun; ${seen.cut} calls cut off, ` +
        `refused ${JSON.stringify(Object.fromEntries(seen.refused))}`,
    );
    if (seen.moved < times / 2 || seen.cut === 0) misses.push('too little was under way to be cut off');
    for (const [name, count] of seen.refused)
      if (name.startsWith('500')) misses.push(`${count} calls were answered ${name}`);
    for (const miss of misses.slice(0, 20)) console.log(`missed: ${miss}`);
    console.log(`${misses.length} things half moved, half registered, miscounted or left behind after ${times} faults`);
    return misses.length === 0;
  } finally {
    await server.stop();
  }
}

process.exitCode = (await main()) ? 0 : 1;
