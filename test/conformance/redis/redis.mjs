// node test/conformance/redis/redis.mjs: what one process commits is heard by another within 100 ms through a real Redis, and
// within two seconds while that is lost. Needs a built tree and redis-server (setup.sh).
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { quantile } from '../../bench/figures.mjs';
import { freePort, REPOSITORY } from '../../support/server.mjs';
import { Checks, startPeer, temporaryFolder } from '../peer.mjs';

const PUSHES = 200;
const WITH_REDIS_MS = 100;
const WITHOUT_REDIS_MS = 2_000;
const STREAM = { name: 'ticks', id: 1, retentionClass: 0 };

const require = createRequire(import.meta.url);
const library = (name) => require(path.join(REPOSITORY, `dist/libs/${name}/src/index.js`));
const { Database } = library('database');
const { FeatureLog, featureMigrations, LogOptions, Settlement } = library('features');
const { SystemClock } = library('kernel');

const folder = temporaryFolder('redis');
const checks = new Checks();
const clock = new SystemClock();
const silent = { debug() {}, info() {}, warn() {}, error() {} };
const actor = { type: 'key', id: 'conformance', keyId: 'conformance', name: 'conformance' };
const DAY = 86_400_000_000;

const definition = {
  name: STREAM.name,
  identity: 'event_id',
  fields: [{ name: 'price', type: 'double', nullable: false }],
  allowedLateness: 0,
  retention: 30 * DAY,
  rules: [],
  table: false,
};
const stream = { ...STREAM, definition, entity: { name: 'symbol', type: 'string', maxLength: 64 } };
const streams = {
  stream: () => stream,
  kept: () => stream,
  keptOfId: () => stream,
  streamNames: () => [STREAM.name],
};

/** A process as far as the log is concerned: a connection pool, a writer and ears of its own. */
async function processOf(database, redisUrl) {
  const heard = new Map();
  const taken = (events) => {
    for (const { entity, eventTime } of events)
      if (!heard.has(entity)) heard.set(entity, { at: performance.now(), eventTime });
  };
  const options = Object.assign(new LogOptions(), { redisUrl });
  const settlement = new Settlement(() => Date.now() * 1000);
  const record = () => Promise.resolve();
  const log = await FeatureLog.start(
    { database, clock, streams, listeners: [{ taken }], settlement, log: silent, record },
    options,
  );
  return { log, heard };
}

/** Milliseconds from before a push to when the other process has heard of it. */
async function delays(one, other, prefix, pushes, pauseMs) {
  const times = [];
  for (let i = 0; i < pushes; i++) {
    const entity = `${prefix}${i}`;
    const begun = performance.now();
    await one.log.push(actor, STREAM.name, [{ entity, event_time: Date.now(), values: { price: i } }]);
    for (let waited = 0; !other.heard.has(entity) && waited < 10_000; waited += 2) await sleep(2);
    times.push((other.heard.get(entity)?.at ?? Infinity) - begun);
    await sleep(pauseMs);
  }
  return times;
}

const redis = (port) =>
  startPeer('redis-server', ['--bind', '127.0.0.1', '--port', String(port), '--save', '', '--appendonly', 'no'], {
    port,
    cwd: folder,
  });

const port = await freePort();
const url = `redis://127.0.0.1:${port}`;
let server = await redis(port);
const database = await Database.start(
  { embeddedFolder: path.join(folder, 'postgres'), migrations: featureMigrations },
  silent,
);
const said = (times) => `p50 ${quantile(times, 0.5).toFixed(1)} ms, p99 ${quantile(times, 0.99).toFixed(1)} ms`;
try {
  await database.query(
    `INSERT INTO features.stream (name, view, retention_class, retention, definition, made_at) VALUES ($1, 'v', 0, $2, $3, now())`,
    [STREAM.name, 30 * DAY, JSON.stringify(definition)],
  );
  const [one, other] = [await processOf(database, url), await processOf(database, url)];
  await sleep(500);
  const fast = await delays(one, other, 'fast', PUSHES, 5);
  checks.check(`heard within 100 ms through Redis: ${said(fast)}`, quantile(fast, 0.99) < WITH_REDIS_MS);

  const stranger = new Redis(url);
  const [channel] = await stranger.pubsub('CHANNELS');
  for (const nonsense of ['{', '[]', '{"events":[[1]]}', 'x'.repeat(100_000)])
    await stranger.publish(channel, nonsense);
  stranger.disconnect();
  const after = await delays(one, other, 'after', 5, 5);
  checks.check(
    'messages of strangers do no harm',
    after.every((ms) => ms < WITHOUT_REDIS_MS),
    said(after),
  );

  await server.stop();
  await sleep(300);
  const slow = await delays(one, other, 'slow', 5, 50);
  checks.check(
    `heard within two seconds while Redis is lost: ${said(slow)}`,
    slow.every((ms) => ms < WITHOUT_REDIS_MS),
  );

  server = await redis(port);
  await sleep(2_500);
  const again = await delays(one, other, 'again', 50, 5);
  checks.check(`heard within 100 ms once it is back: ${said(again)}`, quantile(again, 0.99) < WITH_REDIS_MS);

  const alone = [await processOf(database, undefined), await processOf(database, undefined)];
  const polled = await delays(alone[0], alone[1], 'polled', 10, 50);
  checks.check(
    `heard within two seconds without one: ${said(polled)}`,
    polled.every((ms) => ms < WITHOUT_REDIS_MS),
  );
  for (const { log } of [one, other, ...alone]) await log.stop();
} finally {
  await server.stop();
  await database.close();
  fs.rmSync(folder, { recursive: true, force: true });
}
checks.finish();
