// The load generator. Started with fork() it is a process of its own, so that its CPU time is nobody else's; it takes its
// orders by messages (load-process.mjs). Closed loop: every connection sends its next request when it has the whole
// answer. With a rate it is an open loop (open-loop.mjs): requests have their times, whatever becomes of the answers.
import { Connection, requestBytes } from './http-connection.mjs';
import { openLoop } from './open-loop.mjs';

const HANG_LIMIT_MS = 15_000; // past the server's own deadline for a request: what has not come by then does not come
const LATENCIES_KEPT = 2_000_000; // 8 MB; a slice of a second has far fewer

/** One connection from its first request to its last answer; `turn` says with which request it begins. */
function client(load, turn, port) {
  return new Promise((resolve) => {
    let next = turn; // each connection begins at another request, so that not all send the same one at once
    let sentAt = 0;
    const send = () => {
      sentAt = performance.now();
      connection.send(load.requests[next++ % load.requests.length]);
    };
    const answered = (status) => {
      const now = performance.now();
      load.record(status, now - sentAt);
      if (now < load.endAt) send();
      else connection.end();
    };
    const closed = (broken) => {
      clearTimeout(hung);
      if (broken) load.broken += 1;
      resolve();
    };
    const connection = new Connection(port, { connected: send, answered, closed });
    const hung = setTimeout(() => connection.abandon(), load.durationMs + HANG_LIMIT_MS);
  });
}

/** Runs one slice and returns `{requests, failed, broken, statuses, seconds, latencies}` (milliseconds, unsorted). */
async function closedLoop({ port, requests, connections, durationMs }) {
  const latencies = new Float32Array(LATENCIES_KEPT);
  const begun = performance.now();
  const load = {
    requests,
    durationMs,
    endAt: begun + durationMs,
    broken: 0,
    count: 0,
    statuses: {},
    record(status, ms) {
      if (load.count < LATENCIES_KEPT) latencies[load.count] = ms;
      load.count += 1;
      load.statuses[status] = (load.statuses[status] ?? 0) + 1;
    },
  };
  await Promise.all(Array.from({ length: connections }, (_, index) => client(load, index, port)));
  return {
    requests: load.count,
    failed: load.count - (load.statuses[200] ?? 0),
    broken: load.broken,
    statuses: load.statuses,
    seconds: (performance.now() - begun) / 1e3,
    latencies: latencies.slice(0, Math.min(load.count, LATENCIES_KEPT)),
  };
}

const prepared = new Map();
process.on('message', async (order) => {
  if (order.prepare) {
    prepared.set(order.prepare, order.requests.map(requestBytes));
    return;
  }
  const loop = order.rate === undefined ? closedLoop : openLoop;
  process.send(await loop({ ...order, requests: prepared.get(order.run) }));
});
process.on('disconnect', () => process.exit(0));
