// An open-loop load generator: requests arrive at random at a given rate, as from callers who know nothing of each other,
// and a slow answer holds back none of them. A latency counts from the moment for which the request was intended, so that
// neither a late generator nor a caller without a free connection hides what a caller would have waited.
import { Connection } from './http-connection.mjs';

const TICK_MS = 1; // spinning would be more punctual, and would take a core from the server under test
const ANSWERS_LIMIT_MS = 15_000; // past the server's own deadline for a request
const CONNECTIONS_MAX = 8_000; // one address has some 28,000 ports

/** Arrivals of a Poisson process: independent callers, the same ones in every run. */
function gaps(rate) {
  let state = 0x2545f491;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (-Math.log(((state >>> 0) + 1) / 4_294_967_297) * 1e3) / rate;
  };
}

class Callers {
  answers = [];
  /** How much later than intended requests were written: the generator's own fault, or want of connections. */
  lateness = [];
  broken = 0;
  underWay = 0;
  #idle = [];
  #all = new Set();
  #waiting = [];
  #turn = 0;

  constructor(port, requests, begun) {
    this.port = port;
    this.requests = requests;
    this.begun = begun;
  }

  call(intended) {
    this.underWay += 1;
    // In turn, as a server ends connections that say nothing for long.
    const free = this.#idle.shift();
    if (free) {
      this.#send(free, intended);
      return;
    }
    this.#waiting.push(intended);
    if (this.#all.size < CONNECTIONS_MAX) this.connect();
  }

  connect() {
    const caller = { intended: 0 };
    this.#all.add(caller);
    caller.connection = new Connection(this.port, {
      connected: () => this.#release(caller),
      answered: (status) => {
        const now = performance.now();
        this.answers.push([now - this.begun, now - caller.intended, status]);
        this.underWay -= 1;
        this.#release(caller);
      },
      closed: (broken) => {
        this.#all.delete(caller);
        this.#idle = this.#idle.filter((one) => one !== caller);
        if (!broken) return;
        this.broken += 1;
        if (caller.intended > 0) this.underWay -= 1; // else it never got a request to lose
      },
    });
  }

  end() {
    for (const { connection } of this.#all) connection.end();
  }

  #release(caller) {
    const intended = this.#waiting.shift();
    if (intended !== undefined) {
      this.#send(caller, intended);
      return;
    }
    caller.intended = 0;
    this.#idle.push(caller);
  }

  #send(caller, intended) {
    caller.intended = intended;
    this.lateness.push(performance.now() - intended);
    caller.connection.send(this.requests[this.#turn++ % this.requests.length]);
  }
}

/** Calls at `rate` a second for `durationMs` and waits for the answers; `connections` are opened before the first call. */
export async function openLoop({ port, requests, rate, connections = 16, durationMs }) {
  const callers = new Callers(port, requests, performance.now());
  for (let i = 0; i < connections; i++) callers.connect();
  await new Promise((resolve) => setTimeout(resolve, 200));
  const begun = performance.now();
  callers.begun = begun;
  const gap = gaps(rate);
  let next = begun + gap();
  let intended = 0;
  await new Promise((resolve) => {
    const tick = setInterval(() => {
      const until = Math.min(performance.now(), begun + durationMs);
      for (; next <= until; next += gap()) {
        intended += 1;
        callers.call(next);
      }
      if (until < begun + durationMs) return;
      clearInterval(tick);
      resolve();
    }, TICK_MS);
  });
  await answersOf(callers);
  callers.end();
  return {
    intended,
    broken: callers.broken,
    unanswered: callers.underWay,
    begunAt: performance.timeOrigin + begun,
    at: Float64Array.from(callers.answers, ([at]) => at),
    latencies: Float64Array.from(callers.answers, ([, ms]) => ms),
    statuses: Uint16Array.from(callers.answers, ([, , status]) => status),
    lateness: Float64Array.from(callers.lateness),
  };
}

async function answersOf(callers) {
  const until = performance.now() + ANSWERS_LIMIT_MS;
  while (callers.underWay > 0 && performance.now() < until) await new Promise((resolve) => setTimeout(resolve, 20));
}
