// node test/bench/features-ingest.mjs: how many events a second a server stores durably, pushed over HTTP.
//   --seconds N      of each measurement (default 10)
//   --batch N        events of a push (default 1000)
//   --connections N  pushes under way (default 4)
// Goal: 20,000 events a second on two cores, the load included. Afterwards the events that were acknowledged are counted.
import http from 'node:http';
import { wholeArgument } from '../support/arguments.mjs';
import { startServer } from '../support/server.mjs';
import { cpuOf, spent } from './cell.mjs';
import { quantile } from './figures.mjs';

const GOAL = 20_000;
const HOT_GOAL = 5_000;
const ENTITIES = 1000;
const SINGLE_CONNECTIONS = 64;
const START = Math.floor(Date.now() / 60_000) * 60_000 - 20 * 86_400_000;

const seconds = wholeArgument('--seconds', 10);
const batch = wholeArgument('--batch', 1000);
const connections = wholeArgument('--connections', 4);

const VIEW = {
  kind: 'FeatureView',
  name: 'ingest_bench',
  entity: { name: 'symbol', type: 'string' },
  streams: [
    {
      name: 'ingest_ticks',
      identity: 'event_id',
      fields: { price: 'double', size: 'double', side: 'string' },
      allowed_lateness: '10m',
      retention: '30d',
    },
  ],
  features: [{ name: 'price', op: 'last', input: 'price' }],
};

let sequence = 0;
let key;

function eventText(entity) {
  const n = sequence++;
  const time = START + n;
  return `{"entity":"${entity}","event_time":${time},"values":{"price":${100 + (n % 1000) / 10},"size":${n % 7},"side":"${n & 1 ? 'buy' : 'sell'}"}}`;
}

function bodyOf(events, entityOf) {
  const texts = [];
  for (let i = 0; i < events; i++) texts.push(eventText(entityOf(i)));
  return `{"stream":"ingest_ticks","events":[${texts.join(',')}]}`;
}

function post(server, agent, path, body, type = 'application/json') {
  return new Promise((resolve, reject) => {
    const headers = { 'x-api-key': key, 'content-type': type, 'content-length': Buffer.byteLength(body) };
    const request = http.request(`${server.url}${path}`, { method: 'POST', agent, headers }, (answer) => {
      let text = '';
      answer.setEncoding('utf8');
      answer.on('data', (chunk) => (text += chunk));
      answer.once('end', () => resolve({ status: answer.statusCode, text }));
    });
    request.once('error', reject);
    request.end(body);
  });
}

/** Pushes over so many connections for the time of a measurement. */
async function measure(server, { name, lanes, events, entityOf, goal }) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: lanes });
  const times = [];
  let stored = 0;
  const refused = new Map();
  const before = cpuOf(server.pid);
  const begun = performance.now();
  const until = begun + seconds * 1000;
  await Promise.all(
    Array.from({ length: lanes }, async () => {
      while (performance.now() < until) {
        const body = bodyOf(events, entityOf);
        const sent = performance.now();
        const { status, text } = await post(server, agent, '/v1/features/push', body);
        times.push(performance.now() - sent);
        if (status === 200) stored += JSON.parse(text).counts.ACCEPTED ?? 0;
        else
          refused.set(
            `${status} ${JSON.parse(text).code}`,
            (refused.get(`${status} ${JSON.parse(text).code}`) ?? 0) + 1,
          );
      }
    }),
  );
  const took = (performance.now() - begun) / 1000;
  agent.destroy();
  const after = cpuOf(server.pid);
  const micros = (isCounted) => (spent(before, after, isCounted) / stored).toFixed(1);
  const rate = stored / took;
  const verdict = goal === undefined ? '' : rate >= goal ? `, goal ${goal}: reached` : `, goal ${goal}: MISSED`;
  console.log(
    `${name}: ${Math.round(rate)} events/s (${lanes} connections, ${events} a push), p50 ${quantile(times, 0.5).toFixed(1)} ms, ` +
      `p95 ${quantile(times, 0.95).toFixed(1)} ms; CPU an event: server ${micros((kind) => kind !== 'postgres')}, PostgreSQL ${micros((kind) => kind === 'postgres')} µs${refused.size > 0 ? `, refused ${JSON.stringify(Object.fromEntries(refused))}` : ''}${verdict}`,
  );
  return { stored, ok: goal === undefined || rate >= goal };
}

async function upload(server) {
  const events = batch * 20;
  const lines = [];
  for (let i = 0; i < events; i++) lines.push(eventText(`L${i % ENTITIES}`));
  const begun = performance.now();
  const agent = new http.Agent({ keepAlive: true });
  const body = `${lines.join('\n')}\n`;
  const { status, text } = await post(
    server,
    agent,
    '/v1/features/push?stream=ingest_ticks',
    body,
    'application/x-ndjson',
  );
  agent.destroy();
  if (status !== 200) throw new Error(`the upload was answered ${status} ${text}`);
  const took = (performance.now() - begun) / 1000;
  console.log(`history as lines: ${Math.round(events / took)} events/s (${events} lines in ${took.toFixed(1)} s)`);
  return JSON.parse(text).counts.ACCEPTED ?? 0;
}

async function main() {
  const server = await startServer({ env: { SIBYL_MODELS: '' } });
  try {
    key = server.adminKey;
    const published = await server.call('PUT', `/v1/features/views/${VIEW.name}`, { body: VIEW });
    if (published.status !== 200) throw new Error(`no view: ${published.status} ${JSON.stringify(published.body)}`);
    const spread = (i) => `E${i % ENTITIES}`;
    const runs = [
      { name: 'batches', lanes: connections, events: batch, entityOf: spread, goal: GOAL },
      { name: 'one hot entity', lanes: 2, events: 100, entityOf: () => 'HOT', goal: HOT_GOAL },
      { name: 'single events', lanes: SINGLE_CONNECTIONS, events: 1, entityOf: () => spread(sequence) },
    ];
    let good = true;
    for (const run of runs) good = (await measure(server, run)).ok && good;
    await upload(server);
    return good;
  } finally {
    await server.stop();
  }
}

process.exitCode = (await main()) ? 0 : 1;
