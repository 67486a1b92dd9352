// Load that does not slow down when the server does: so many requests a second, each with the answer that it must get.
import http from 'node:http';

const REQUEST_TIMEOUT_MS = 20_000; // past the server's own deadline of 10 s
const TICK_MS = 5;

/** One POST; `{status, body}`, with status 0 where the connection broke. */
export function post({ agent, port, key }, route, body) {
  const text = JSON.stringify(body);
  return new Promise((resolve) => {
    const request = http.request(
      {
        port,
        host: '127.0.0.1',
        path: route,
        method: 'POST',
        agent,
        timeout: REQUEST_TIMEOUT_MS,
        headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text), 'x-api-key': key },
      },
      (answer) => {
        const chunks = [];
        answer.on('data', (chunk) => chunks.push(chunk));
        answer.on('end', () => {
          resolve({ status: answer.statusCode, body: JSON.parse(Buffer.concat(chunks).toString()) });
        });
        answer.on('error', () => resolve({ status: 0 }));
      },
    );
    request.on('timeout', () => request.destroy(new Error('timeout')));
    request.on('error', () => resolve({ status: 0 }));
    request.end(text);
  });
}

/** `question(i)` gives `{route, body, expected}` for the i-th request, `answerOf(body)` what is compared with `expected`. */
export class SteadyLoad {
  sent = 0;
  right = 0;
  wrong = 0;
  /** What was not answered with 200, by status and code. */
  refused = new Map();
  /** `[sent, answered]` of the right ones, in ms of performance.now(). */
  times = [];
  #open = new Set();
  #timer;

  constructor(target, { perSecond, question, answerOf }) {
    this.target = { ...target, agent: new http.Agent({ keepAlive: true, maxSockets: 1024 }) };
    this.perSecond = perSecond;
    this.question = question;
    this.answerOf = answerOf;
  }

  start() {
    const begun = performance.now();
    this.#timer = setInterval(() => {
      const due = Math.floor(((performance.now() - begun) * this.perSecond) / 1000);
      while (this.sent < due) this.#send();
    }, TICK_MS);
    return this;
  }

  /** Waits for what is under way. */
  async stop() {
    clearInterval(this.#timer);
    await Promise.all(this.#open);
    this.target.agent.destroy();
  }

  /** How many got a status of 5xx, or no answer at all. */
  get failures() {
    return [...this.refused].reduce((sum, [name, count]) => (/^[05]/.test(name) ? sum + count : sum), 0);
  }

  /** Ms from a moment until the first right answer to a request that was sent after it. */
  firstAnswerAfter(moment) {
    const after = this.times.filter(([sent]) => sent >= moment).map(([, answered]) => answered - moment);
    return Math.min(...after);
  }

  #send() {
    const { route, body, expected } = this.question(this.sent++);
    const sentAt = performance.now();
    const call = post(this.target, route, body).then((answer) => {
      this.#open.delete(call);
      if (answer.status !== 200) {
        const name = `${answer.status} ${answer.body?.code ?? ''}`.trim();
        this.refused.set(name, (this.refused.get(name) ?? 0) + 1);
      } else if (JSON.stringify(this.answerOf(answer.body)) === JSON.stringify(expected)) {
        this.right++;
        this.times.push([sentAt, performance.now()]);
      } else this.wrong++;
    });
    this.#open.add(call);
  }
}
