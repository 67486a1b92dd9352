// Load that remembers what it was told: every prediction id that came back with status 200, and every call that did not.
import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

const REQUEST_TIMEOUT_MS = 15_000; // past the server's own deadline of 10 s
const RETRY_MS = 10;
const BODY = JSON.stringify({
  symbol: 'BTC/USDT',
  features: { price: 45000.0, volume: 1000000.0, rsi: 65.5, macd: 12.5 },
  model: 'momentum',
});

function post(agent, port, key) {
  return new Promise((resolve) => {
    const request = http.request(
      {
        port,
        host: '127.0.0.1',
        path: '/predict',
        method: 'POST',
        agent,
        timeout: REQUEST_TIMEOUT_MS,
        headers: { 'content-type': 'application/json', 'content-length': BODY.length, 'x-api-key': key },
      },
      (answer) => {
        const chunks = [];
        answer.on('data', (chunk) => chunks.push(chunk));
        answer.on('end', () => resolve({ status: answer.statusCode, text: Buffer.concat(chunks).toString() }));
        answer.on('error', (error) => resolve({ error }));
      },
    );
    request.on('timeout', () => request.destroy(new Error('timeout')));
    request.on('error', (error) => resolve({ error }));
    request.end(BODY);
  });
}

/** Closed-loop predictions on some connections; goes on through broken connections until it is stopped. */
export class RecordedLoad {
  /** Ids that the client holds an answer for. */
  answered = [];
  /** Refusals and errors, by status and code. */
  refused = new Map();
  /** Calls whose connection broke before the whole answer was there: nobody was told anything. */
  broken = 0;
  /** `[millisecond of the answer, latency in ms]` of the answered ones. */
  latencies = [];
  #running = false;
  #loops = [];

  constructor({ port, key, connections }) {
    this.port = port;
    this.key = key;
    this.connections = connections;
  }

  start() {
    this.#running = true;
    this.agent = new http.Agent({ keepAlive: true, maxSockets: this.connections });
    this.#loops = Array.from({ length: this.connections }, () => this.#loop());
    return this;
  }

  async stop() {
    this.#running = false;
    await Promise.all(this.#loops);
    this.agent.destroy();
  }

  /** How many calls were answered with anything but 200. */
  get failures() {
    return [...this.refused.values()].reduce((sum, count) => sum + count, 0);
  }

  /** Latencies of the answers that came between two moments (performance.now()). */
  between(from, to) {
    return this.latencies.filter(([at]) => at >= from && at < to).map(([, ms]) => ms);
  }

  async #loop() {
    while (this.#running) {
      const begun = performance.now();
      const { status, text, error } = await post(this.agent, this.port, this.key);
      if (error) {
        this.broken += 1;
        await sleep(RETRY_MS);
      } else if (status === 200) {
        const now = performance.now();
        this.answered.push(JSON.parse(text).id);
        this.latencies.push([now, now - begun]);
      } else {
        const code = /"code":"(\w+)"/.exec(text)?.[1] ?? text.slice(0, 80);
        const name = `${status} ${code}`;
        this.refused.set(name, (this.refused.get(name) ?? 0) + 1);
        await sleep(RETRY_MS);
      }
    }
  }
}
