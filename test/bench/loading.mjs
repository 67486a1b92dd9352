// npm run bench:load: a large model is registered and loaded while another one serves. Callers of that one come at a fixed
// rate, whatever becomes of their answers (open loop), so that a standstill is seen by everybody who waits through it.
// Nothing is pinned, as in operation. Before and after each load stands a calm slice of the same length: on a shared machine p99 wanders
// with the disk, whose fsync every answer waits for, so that only slices side by side can be compared, and of many slices the
// median. What wandering is left is measured, too: the calm slices before and those after the loads are the same thing twice.
//   --runners N   runners of the server (default: as it chooses)
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { runnersChosen } from '../support/arguments.mjs';
import { startServer } from '../support/server.mjs';
import { quantile, table } from './figures.mjs';
import { densePackage } from './generated-models.mjs';
import { LoadProcess } from './load-process.mjs';
import { loopDelayMs, scrape } from './metrics.mjs';
import { issueKey, upload } from './stand.mjs';
import { treeSubject } from './subjects.mjs';

const RATE = 200; // a small part of what the tree can take, so that what is seen comes from the loading
const SETTLE_MS = 500; // after an unload: its process ends
const AROUND_MS = 300; // before and after the work, so that nothing of it is missed
const LOADS = 8;
const GOALS = { p99Times: 1.1, loopDelayMs: 20 };
const LARGE = { name: 'large', width: 5793, layers: 4 }; // 400 MB

async function must(promise, statuses) {
  const answer = await promise;
  if (!statuses.includes(answer.status)) throw new Error(`${answer.status} ${JSON.stringify(answer.body)}`);
  return answer;
}

const unload = (server) => must(server.call('DELETE', `/v1/models/${LARGE.name}/1.0.0`), [200]);

async function load(server) {
  const body = { model_id: LARGE.name, version: '1.0.0' };
  const { status } = await must(server.call('POST', '/v1/models/load', { body, timeoutMs: 60_000 }), [200]);
  if (status !== 200) throw new Error('the large model was not loaded within 30 s');
}

/** The package is taken from a folder, so that the work of sending it is nobody's. */
function register(server, uri) {
  const sent = server.call('POST', `/v1/models/${LARGE.name}/versions`, {
    body: { source_uri: uri },
    timeoutMs: 60_000,
  });
  return must(sent, [200, 201]);
}

/** Waits until /models says that the large model is loaded, which follows its registration. */
async function untilLoaded(server) {
  for (let waited = 0; waited < 60_000; waited += 50) {
    const { body } = await server.call('GET', `/models?name=${LARGE.name}&loaded=true`);
    if (body.models.length > 0) return;
    await sleep(50);
  }
  throw new Error('the large model was not loaded within 60 s');
}

/** Some work with callers around it: what those noticed who came while it was done. */
async function observe(server, calls, work) {
  await scrape(server); // the delay of the event loop counts from the scrape before
  const running = calls();
  await sleep(AROUND_MS * 2); // the generator opens its connections first
  const from = performance.timeOrigin + performance.now();
  await work();
  const until = performance.timeOrigin + performance.now() + AROUND_MS;
  const metrics = await scrape(server);
  return { from, until, running, delay99: loopDelayMs(metrics, 0.99), delayMax: loopDelayMs(metrics, 1) };
}

/** Adds the answers to those who were to be called between `from` and `until`. */
function answersWithin({ result, from, until }) {
  const latencies = [];
  let failed = result.broken + result.unanswered;
  for (let i = 0; i < result.at.length; i++) {
    const intended = result.begunAt + result.at[i] - result.latencies[i];
    if (intended < from || intended > until) continue;
    latencies.push(result.latencies[i]);
    if (result.statuses[i] !== 200) failed += 1;
  }
  return { latencies, failed };
}

/** All slices of one kind together. */
class Phase {
  seconds = 0;
  latencies = [];
  p99s = [];
  failed = 0;
  delay99 = 0;
  delayMax = 0;

  constructor(name) {
    this.name = name;
  }

  add(observed, { latencies, failed }) {
    this.seconds += (observed.until - observed.from) / 1e3;
    this.latencies.push(...latencies);
    this.p99s.push(quantile(latencies, 0.99));
    this.failed += failed;
    this.delay99 = Math.max(this.delay99, observed.delay99);
    this.delayMax = Math.max(this.delayMax, observed.delayMax);
  }

  /** Of the median slice: one in which a neighbour had the disk says nothing. */
  get p99() {
    return quantile(this.p99s, 0.5);
  }
}

/** One slice: some work of at most `limitMs`, and what callers saw of it. Returns how long the work took. */
async function slice(scene, phases, limitMs, work) {
  const calls = () => scene.generator.order({ run: 'tree', port: scene.server.port, rate: RATE, durationMs: limitMs });
  const observed = await observe(scene.server, calls, work);
  const answers = answersWithin({ ...observed, result: await observed.running });
  for (const phase of phases) phase.add(observed, answers);
  return observed.until - observed.from - AROUND_MS;
}

async function play(server, generator) {
  const scene = { server, generator };
  const large = densePackage(path.join(server.dataDir, 'import'), LARGE);
  const [calm, loading, registering] = ['calm', 'loading', 'registering'].map((name) => new Phase(name));
  const halves = [new Phase('before'), new Phase('after')];
  await generator.order({ run: 'tree', port: server.port, rate: RATE, durationMs: 1_000 }); // warm
  await slice(scene, [registering], 20_000, async () => {
    await register(server, large);
    await untilLoaded(server);
  });
  let tookMs = 800;
  const rest = (half) => slice(scene, [calm, half], tookMs + 1_500, () => sleep(tookMs));
  for (let time = 0; time < LOADS; time++) {
    await unload(server);
    await sleep(SETTLE_MS);
    await rest(halves[0]);
    tookMs = await slice(scene, [loading], tookMs + 3_000, () => load(server));
    await rest(halves[1]);
  }
  return { calm, loading, registering, halves };
}

function print(phases) {
  const head = [
    'tree while',
    's',
    'requests',
    'failed',
    'p50 ms',
    'median p99 ms',
    'longest ms',
    'loop p99 ms',
    'loop longest ms',
  ];
  const rows = phases.map((one) => [
    one.name,
    one.seconds.toFixed(1),
    one.latencies.length,
    one.failed,
    quantile(one.latencies, 0.5).toFixed(2),
    one.p99.toFixed(2),
    quantile(one.latencies, 1).toFixed(1),
    one.delay99.toFixed(1),
    one.delayMax.toFixed(1),
  ]);
  console.log(`${RATE} requests/s for the tree, while a model of 400 MB is registered and then loaded ${LOADS} times`);
  console.log(table([head, ...rows]));
}

/** What p99 may be while the model loads: the goal, of what the calm slices were on that side of it that the disk treated worse. */
const allowedP99 = (halves) => GOALS.p99Times * Math.max(...halves.map(({ p99 }) => p99));

function missesOf({ calm, loading, registering, halves }) {
  return [
    ...[calm, loading, registering].flatMap((one) => [
      ...(one.failed > 0 ? [`${one.name}: ${one.failed} requests failed`] : []),
      ...(one.delay99 > GOALS.loopDelayMs ? [`${one.name}: event loop`] : []),
    ]),
    ...(loading.p99 > allowedP99(halves) ? ['loading: p99'] : []),
  ];
}

async function main() {
  const generator = new LoadProcess();
  const server = await startServer({ env: runnersChosen() });
  try {
    const tree = treeSubject();
    await upload(server, tree);
    generator.prepare('tree', tree.requests('tensors', { 'x-api-key': await issueKey(server) }));
    const seen = await play(server, generator);
    const { calm, loading, registering, halves } = seen;
    print([calm, loading, registering]);
    const misses = missesOf(seen);
    if (misses.length > 0) console.log(`missed: ${misses.join(', ')}`);
    const worse = Math.max(...halves.map(({ p99 }) => p99));
    console.log(
      `tree p99 ${loading.p99.toFixed(1)} ms while a model of 400 MB loads, ${calm.p99.toFixed(1)} ms beside it, ` +
        `${worse.toFixed(1)} ms on its worse side (goal ${GOALS.p99Times} times); ` +
        `event loop p99 ${loading.delay99.toFixed(1)} ms (goal ${GOALS.loopDelayMs})`,
    );
    return misses.length === 0;
  } finally {
    generator.stop();
    await server.stop();
  }
}

process.exitCode = (await main()) ? 0 : 1;
