// npm run bench:load: a large model is registered and loaded while another one serves. Callers of that one come at a fixed
// rate, whatever becomes of their answers (open loop), so that a standstill is seen by everybody who waits through it.
// Nothing is pinned, as in operation.
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
const CALM_MS = 5_000;
const AROUND_MS = 300; // before and after the work, so that nothing of it is missed
const LOADS = 3;
const GOALS = { p99Times: 2, loopDelayMs: 20 };
const LARGE = { name: 'large', width: 4096, layers: 4 }; // 200 MB

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

class Scene {
  phases = [];

  constructor(server, generator) {
    this.server = server;
    this.generator = generator;
  }

  /** `times` repetitions of a piece of work that takes at most `limitMs`. */
  async phase(name, limitMs, work, { times = 1, between } = {}) {
    const seen = { name, seconds: 0, latencies: [], failed: 0, delay99: 0, delayMax: 0 };
    for (let time = 0; time < times; time++) {
      if (between) await between();
      const calls = () =>
        this.generator.order({ run: 'tree', port: this.server.port, rate: RATE, durationMs: limitMs });
      const observed = await observe(this.server, calls, work);
      const { latencies, failed } = answersWithin({ ...observed, result: await observed.running });
      seen.latencies.push(...latencies);
      seen.failed += failed;
      seen.seconds += (observed.until - observed.from - AROUND_MS) / 1e3 / times;
      seen.delay99 = Math.max(seen.delay99, observed.delay99);
      seen.delayMax = Math.max(seen.delayMax, observed.delayMax);
    }
    this.phases.push({ ...seen, p50: quantile(seen.latencies, 0.5), p99: quantile(seen.latencies, 0.99) });
  }
}

async function play(server, generator) {
  const large = densePackage(path.join(server.dataDir, 'import'), LARGE);
  const scene = new Scene(server, generator);
  await generator.order({ run: 'tree', port: server.port, rate: RATE, durationMs: 1_000 }); // warm
  await scene.phase('alone', CALM_MS + 1_500, () => sleep(CALM_MS));
  await scene.phase('registering', 12_000, async () => {
    await register(server, large);
    await untilLoaded(server);
  });
  await scene.phase('loading', 5_000, () => load(server), { times: LOADS, between: () => unload(server) });
  return scene.phases;
}

function print(phases) {
  const head = [
    'tree while',
    's',
    'requests',
    'failed',
    'p50 ms',
    'p99 ms',
    'longest ms',
    'loop p99 ms',
    'loop longest ms',
  ];
  const rows = phases.map((one) => [
    one.name,
    one.seconds.toFixed(1),
    one.latencies.length,
    one.failed,
    one.p50.toFixed(2),
    one.p99.toFixed(2),
    quantile(one.latencies, 1).toFixed(1),
    one.delay99.toFixed(1),
    one.delayMax.toFixed(1),
  ]);
  console.log(`${RATE} requests/s for the tree, while a model of 200 MB is registered and then loaded ${LOADS} times`);
  console.log(table([head, ...rows]));
}

function missesOf([alone, ...others]) {
  return others.flatMap((one) => [
    ...(one.failed > 0 ? [`${one.name}: ${one.failed} requests failed`] : []),
    ...(one.p99 > GOALS.p99Times * alone.p99 ? [`${one.name}: p99`] : []),
    ...(one.delay99 > GOALS.loopDelayMs ? [`${one.name}: event loop`] : []),
  ]);
}

async function main() {
  const generator = new LoadProcess();
  const server = await startServer({ env: runnersChosen() });
  try {
    const tree = treeSubject();
    await upload(server, tree);
    generator.prepare('tree', tree.requests('tensors', { 'x-api-key': await issueKey(server) }));
    const phases = await play(server, generator);
    print(phases);
    const misses = missesOf(phases);
    if (misses.length > 0) console.log(`missed: ${misses.join(', ')}`);
    const [alone, , loading] = phases;
    console.log(
      `tree p99 ${loading.p99.toFixed(1)} ms while a model loads, ${alone.p99.toFixed(1)} ms alone ` +
        `(goal ${GOALS.p99Times} times); event loop p99 ${loading.delay99.toFixed(1)} ms (goal ${GOALS.loopDelayMs})`,
    );
    return misses.length === 0;
  } finally {
    generator.stop();
    await server.stop();
  }
}

process.exitCode = (await main()) ? 0 : 1;
