// What the bench of features reads and pushes: twenty features of bars, eight of them expressions, of entities with a history.
import http from 'node:http';
import { cpuOf, spent } from './cell.mjs';
import { quantile } from './figures.mjs';

const OPERATORS = [
  { name: 'price', op: 'last', input: 'close', ttl: '365d' },
  { name: 'high', op: 'last', input: 'high' },
  { name: 'low', op: 'last', input: 'low' },
  { name: 'volume', op: 'last', input: 'volume' },
  { name: 'ema12', op: 'ema', input: 'close', period: 12 },
  { name: 'ema26', op: 'ema', input: 'close', period: 26 },
  { name: 'rsi', op: 'rsi', input: 'close', period: 14 },
  { name: 'mean20', op: 'mean', input: 'close', window: 20 },
  { name: 'std20', op: 'std', input: 'close', window: 20 },
  { name: 'median9', op: 'median', input: 'close', window: 9 },
  { name: 'max_1h', op: 'max', input: 'close', window: '1h' },
  { name: 'volume_1h', op: 'sum', input: 'volume', window: '1h' },
];
const EXPRESSIONS = [
  ['z20', '(price - mean20) / std20'],
  ['range', '(high - low) / price'],
  ['trend', 'ema12 / ema26 - 1.0'],
  ['reversal', 'price / median9 - 1.0'],
  ['relative', 'volume * 60.0 / max(coalesce(volume_1h, 1.0), 1.0)'],
  ['strength', 'rsi / 100.0 + trend'],
  ['signal', 'abs(z20) > 2.0 ? -z20 : trend * 100.0'],
  ['size', 'clamp(1.0 / max(range, 0.001), 0.0, 100.0)'],
];
const VIEW = {
  kind: 'FeatureView',
  name: 'bench',
  entity: { name: 'symbol', type: 'string' },
  streams: [
    {
      name: 'bench_bars',
      identity: 'event_time',
      fields: { high: 'double', low: 'double', close: 'double', volume: 'double' },
      allowed_lateness: '1h',
      retention: '30d',
    },
  ],
  features: [...OPERATORS, ...EXPRESSIONS.map(([name, expr]) => ({ name, expr, dtype: 'double' }))],
};
export const NAMES = VIEW.features.map(({ name }) => name);
/** The same but for one feature that changes with each moment, and one that is made of it: nothing of it can be found again as it was. */
const MOVING = {
  ...VIEW,
  name: 'bench_moving',
  streams: [{ name: 'bench_bars', of: 'bench' }],
  features: VIEW.features.map((feature) => {
    if (feature.name === 'volume_1h') return { name: 'quiet', op: 'time_since_last', unit: 'm' };
    if (feature.name === 'relative') return { ...feature, expr: 'volume / max(coalesce(quiet, 1.0), 1.0)' };
    return feature;
  }),
};
const setOf = ({ name, features }) => ({
  kind: 'FeatureSet',
  name: `${name}_set`,
  features: features.map((feature) => `${name}:${feature.name}`),
  on_missing: 'null',
});

/** Requests over one connection, one after the other. */
export class Caller {
  agent = new http.Agent({ keepAlive: true, maxSockets: 1 });

  constructor(url, headers = {}) {
    this.url = url;
    this.headers = headers;
  }

  post(path, body, type = 'application/json') {
    const headers = { 'content-type': type, 'content-length': Buffer.byteLength(body) };
    return this.send('POST', path, { headers, body });
  }

  /** The number of the worker at the other end. */
  async worker() {
    return JSON.parse(await this.send('GET', '/health/system')).worker.index;
  }

  send(method, path, { headers: more = {}, body } = {}) {
    return new Promise((resolve, reject) => {
      const headers = { ...this.headers, ...more };
      const request = http.request(`${this.url}${path}`, { method, agent: this.agent, headers }, (answer) => {
        const chunks = [];
        answer.on('data', (chunk) => chunks.push(chunk));
        answer.once('end', () => {
          const text = String(Buffer.concat(chunks));
          if (answer.statusCode === 200) return resolve(text);
          reject(new Error(`${path} was answered ${answer.statusCode}: ${text.slice(0, 500)}`));
        });
      });
      request.once('error', reject);
      request.end(body);
    });
  }

  close() {
    this.agent.destroy();
  }
}

export async function publish(server) {
  for (const { kind, body } of [
    { kind: 'views', body: VIEW },
    { kind: 'views', body: MOVING },
    { kind: 'sets', body: setOf(VIEW) },
    { kind: 'sets', body: setOf(MOVING) },
  ]) {
    const { status, body: answer } = await server.call('PUT', `/v1/features/${kind}/${body.name}`, { body });
    if (status !== 200) throw new Error(`nothing published: ${status} ${JSON.stringify(answer)}`);
  }
}

export function bar(entity, time, close) {
  const values = { high: close + 1, low: close - 1, close, volume: Math.round(close * 10) };
  return { entity, event_time: time, values };
}

/** So many bars of each entity, the newest of a minute ago. */
export async function fill(caller, entities, bars) {
  const end = Math.floor(Date.now() / 60_000) * 60_000;
  const PART = 200_000;
  for (let from = 0; from < entities.length * bars; from += PART) {
    const lines = [];
    for (let i = from; i < Math.min(from + PART, entities.length * bars); i++) {
      const ago = bars - (i % bars);
      const entity = entities[Math.floor(i / bars)];
      const close = Math.round((100 + 10 * Math.sin(i / 7) + (i % 13)) * 100) / 100;
      lines.push(JSON.stringify(bar(entity, end - ago * 60_000, close)));
    }
    const answer = await caller.post(
      '/v1/features/push?stream=bench_bars',
      `${lines.join('\n')}\n`,
      'application/x-ndjson',
    );
    const { counts } = JSON.parse(answer);
    if (counts.ACCEPTED !== lines.length) throw new Error(`the history was not taken: ${answer.slice(0, 500)}`);
  }
}

const STATUSES = /"statuses":\s*\[([^\]]*)\]/g;

/** What has no value costs less than what has one: an answer with anything but PRESENT is no measurement. */
function checkPresent(answer) {
  const rows = [...answer.matchAll(STATUSES)].flatMap(([, list]) => list.split(','));
  const other = rows.find((status) => status.trim() !== '"PRESENT"');
  if (rows.length === 0 || other !== undefined)
    throw new Error(`${other ?? 'no value'} among what was measured: ${answer.slice(0, 500)}`);
}

/**
 * Callers in closed loops, one unless more are given: milliseconds of each request, and CPU of the server a request. `warm`: requests
 * until its code is compiled. `before`: of one request, and not of its time. Throws where a value is not there.
 */
export async function measure(callers, pid, { requests, path, bodyOf, before, warm = Math.ceil(requests / 5) }) {
  const times = [];
  let [next, end] = [0, warm];
  const loop = async (caller) => {
    while (next < end) {
      await before?.(next);
      const body = bodyOf(next++);
      const begun = performance.now();
      const answer = await caller.post(path, body);
      times.push(performance.now() - begun);
      checkPresent(answer);
    }
  };
  const all = () => Promise.all([callers].flat().map(loop));
  await all();
  times.length = 0;
  const cpuBefore = cpuOf(pid);
  end += requests;
  await all();
  const cpu = spent(cpuBefore, cpuOf(pid), (kind) => kind !== 'postgres') / 1000 / requests;
  return { cpu, p50: quantile(times, 0.5), p95: quantile(times, 0.95), p99: quantile(times, 0.99) };
}
