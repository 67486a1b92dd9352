// Feast's own server on this machine, for comparison: Redis, twenty stored numbers an entity, one worker.
import fs from 'node:fs';
import path from 'node:path';
import { freePort } from '../support/server.mjs';
import { run, startPeer, temporaryFolder } from '../conformance/peer.mjs';
import { FEAST } from '../conformance/feast/place.mjs';
import { Caller, measure, NAMES } from './features-stand.mjs';
import { ms } from './figures.mjs';

const SIZES = [
  { entities: 1, requests: 300, warm: 3000, cpu: 15, p50: 6 },
  { entities: 10, requests: 200, warm: 500, cpu: 20, p50: 12 },
  { entities: 100, requests: 60, warm: 100, cpu: 20, p50: 12 },
];
/** Connections of a server that has something to do. */
const BUSY = 16;
const ROUTE = '/get-online-features';

/** Undefined where `sh test/conformance/feast/setup.sh` has not been run. */
async function startFeast(entities) {
  if (!fs.existsSync(path.join(FEAST, 'bin/feast'))) return undefined;
  const folder = temporaryFolder('feast');
  const [redis, http] = [await freePort(), await freePort()];
  const store = await startPeer('redis-server', ['--port', `${redis}`, '--save', '', '--bind', '127.0.0.1'], {
    port: redis,
    cwd: folder,
  });
  const script = path.join(import.meta.dirname, '../conformance/feast/bench_repo.py');
  const env = { FEAST_USAGE: 'False' };
  await run(path.join(FEAST, 'bin/python'), [script, folder, `${redis}`, NAMES.join(), entities.join()], {
    cwd: folder,
    env,
  });
  const server = await startPeer(
    path.join(FEAST, 'bin/feast'),
    ['serve', '-p', `${http}`, '--no-access-log', '--max-requests', '1000000'],
    {
      port: http,
      cwd: folder,
      env,
    },
  );
  return {
    url: `http://127.0.0.1:${http}`,
    pid: server.child.pid,
    async stop() {
      await server.stop();
      await store.stop();
      fs.rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Bare node:http with this answer: no server in Node takes less. */
export async function startBare(answer) {
  const folder = temporaryFolder('bare');
  const file = path.join(folder, 'answer.json');
  fs.writeFileSync(file, answer);
  const port = await freePort();
  const script = path.join(import.meta.dirname, 'bare-server.mjs');
  const server = await startPeer(process.execPath, [script, `${port}`, file], { port, cwd: folder });
  return {
    url: `http://127.0.0.1:${port}`,
    pid: server.child.pid,
    async stop() {
      await server.stop();
      fs.rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Of so many callers in closed loops. */
async function figuresOf({ url, pid, headers = {} }, connections, asked) {
  const callers = Array.from({ length: connections }, () => new Caller(url, headers));
  try {
    return await measure(callers, pid, asked);
  } finally {
    for (const caller of callers) caller.close();
  }
}

/** The same requests to Feast, to us and to a bare server: by one caller, and by as many as a busy server has. `relaxed`: us without the wait for the disk. */
export async function besideFeast({ server, relaxed, symbols }, tell) {
  const them = await startFeast(symbols);
  if (!them) return console.log('Feast is not here: sh test/conformance/feast/setup.sh');
  const [us, hasty] = [server, relaxed].map(({ url, pid, adminKey }) => ({
    url,
    pid,
    headers: { 'x-api-key': adminKey },
  }));
  try {
    for (const size of SIZES) await besideAt(size, { them, us, hasty, symbols }, tell);
  } finally {
    await them.stop();
  }
}

async function besideAt({ entities, requests, warm, ...goals }, { them, us, hasty, symbols }, tell) {
  const features = NAMES.map((name) => `bench:${name}`);
  const symbolsOf = (i) => Array.from({ length: entities }, (_, j) => symbols[(i * entities + j) % symbols.length]);
  const bodyOf = (i) => JSON.stringify({ features, entities: { symbol: symbolsOf(i) } });
  const theirs = { path: ROUTE, bodyOf, requests };
  const ours = { ...theirs, warm, requests: requests * 5 };
  const first = new Caller(us.url, us.headers);
  const bare = await startBare(await first.post(ROUTE, bodyOf(0)));
  first.close();
  try {
    for (const connections of [1, BUSY]) {
      const their = await figuresOf(them, connections, theirs);
      const least = await figuresOf(bare, connections, ours);
      const tellOf = async (which, subject) => {
        const our = await figuresOf(subject, connections, ours);
        for (const of of connections === 1 ? ['p50', 'cpu'] : ['cpu']) {
          const ratio = their[of] / our[of];
          const what = `Feast, ${entities} at ${connections}${which}: ${of === 'cpu' ? 'CPU' : of} of it / ours (bare node:http)`;
          const measured = `${ms(their[of])} / ${ms(our[of])} = ${ratio.toFixed(1)}x (${(their[of] / least[of]).toFixed(1)}x)`;
          tell(what, measured, `>= ${goals[of]}x`, ratio >= goals[of]);
        }
      };
      await tellOf('', us);
      await tellOf(', relaxed audit', hasty);
    }
  } finally {
    await bare.stop();
  }
}
