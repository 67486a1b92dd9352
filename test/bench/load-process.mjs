// The load generator as its parent sees it: requests are prepared once, runs are ordered by name.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { REPOSITORY } from '../support/server.mjs';

export class LoadProcess {
  #died;

  constructor() {
    // Advanced: latencies come back as the typed arrays that they are.
    this.child = fork(path.join(REPOSITORY, 'test/bench/load.mjs'), { serialization: 'advanced' });
    this.#died = once(this.child, 'exit').then(() => Promise.reject(new Error('the load generator has ended')));
    this.#died.catch(() => undefined); // it ends when it is stopped, and then nobody waits
  }

  get pid() {
    return this.child.pid;
  }

  prepare(name, requests) {
    this.child.send({ prepare: name, requests });
  }

  /** A closed loop in which every request must succeed. */
  async run(name, port, connections, durationMs) {
    const result = await this.order({ run: name, port, connections, durationMs });
    if (result.failed || result.broken) {
      throw new Error(`${name}: answers ${JSON.stringify(result.statuses)}, ${result.broken} broken connections`);
    }
    return result;
  }

  /** Any order of load.mjs: `{run, port, durationMs, connections}` is a closed loop, with `rate` it is an open one. */
  async order(order) {
    this.child.send(order);
    const [result] = await Promise.race([once(this.child, 'message'), this.#died]);
    return result;
  }

  stop() {
    if (this.child.connected) this.child.disconnect();
  }
}
