// npm run drill:overload: callers come at 3 and at 10 times the rate that the server can answer, each when he pleases (open
// loop). It must go on answering at its peak rate, refuse the rest at once, not grow, and be itself again soon after.
// The runner has a core of its own. What other programs take of that core is not the server's doing, so rates are compared
// as if nobody had: divided by the share of the time in which the runner had the core or did not want it.
//   --seconds N   of each overload (default 20)
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { quantile, table } from '../bench/figures.mjs';
import { LoadProcess } from '../bench/load-process.mjs';
import { chooseCores, pin } from '../bench/machine.mjs';
import { issueKey, upload } from '../bench/stand.mjs';
import { slowSubject } from '../bench/subjects.mjs';
import { wholeArgument } from '../support/arguments.mjs';
import { cpuMicros, memoryKib, processTree, starvedMicros } from '../support/processes.mjs';
import { startServer } from '../support/server.mjs';

const GOALS = { goodput: 0.9, acceptedTimes: 2, refusalMs: 20, growth: 1.1, recoveryMs: 5_000 };
const FACTORS = [3, 10];
const PEAK_CONNECTIONS = 64;
const PEAK_MS = 3_000;
const QUEUE_PLACES = 1_024; // the default of SIBYL_QUEUE_REQUESTS, which is what shall be tried
const QUEUE_WAIT_S = 2; // that of SIBYL_QUEUE_WAIT_MS
const NEARLY_FULL = 0.6; // as many callers as wait in a full queue, and none that is refused
const FULL_QUEUE_MS = 8_000;
const PROBE_RATE = 50;
const PROBE_MS = 8_000; // longer than a recovery may take
const CALM_MS = 3_000;
const PROBES_NORMAL = 25; // half a second in which nearly all are as they were before
const NEARLY_ALL = 0.9;
const MEMORY_EVERY_MS = 500;

/** Memory of the server and its runners in MiB, over and over. */
class MemoryWatch {
  samples = [];
  #timer;

  constructor(pid) {
    this.#timer = setInterval(() => this.samples.push(residentMib(pid)), MEMORY_EVERY_MS);
  }

  /** How many times as much the last third takes at most as the first. */
  stop() {
    clearInterval(this.#timer);
    const third = Math.max(1, Math.floor(this.samples.length / 3));
    return Math.max(...this.samples.slice(-third)) / Math.max(...this.samples.slice(0, third));
  }
}

/** What the server and its runner had of the cores, and what they lacked, as shares of the time since it was made. */
class CoreWatch {
  #begun = performance.now();
  #before;

  constructor(pid) {
    const runner = processTree(pid).find((one) => one.kind === 'runner');
    this.pids = { server: pid, runner: runner.pid };
    this.#before = this.#read();
  }

  #read() {
    const of = (pid) => ({ had: cpuMicros(pid), lacked: starvedMicros(pid) });
    return { server: of(this.pids.server), runner: of(this.pids.runner) };
  }

  stop() {
    const now = this.#read();
    const micros = (performance.now() - this.#begun) * 1e3;
    const share = (kind, what) => (now[kind][what] - this.#before[kind][what]) / micros;
    const of = (kind) => ({ had: share(kind, 'had'), lacked: share(kind, 'lacked') });
    return { server: of('server'), runner: of('runner') };
  }
}

const fairly = (rate, { runner }) => rate / (1 - runner.lacked);
const shares = ({ had, lacked }) => `${percent(had)} / ${percent(lacked)}`;
const percent = (share) => `${(share * 100).toFixed(0)} %`;

function residentMib(pid) {
  const ours = processTree(pid).filter((one) => one.kind !== 'postgres');
  return ours.reduce((sum, one) => sum + memoryKib(one.pid).rss / 1024, 0);
}

/** Latencies by what became of the request; those answered after the callers had stopped coming count, but as no goodput. */
function sort(result, durationMs) {
  const seen = { accepted: [], refused: [], good: 0, others: {} };
  for (let i = 0; i < result.at.length; i++) {
    const status = result.statuses[i];
    if (status === 200) {
      seen.accepted.push(result.latencies[i]);
      if (result.at[i] <= durationMs) seen.good += 1;
    } else if (status === 503) seen.refused.push(result.latencies[i]);
    else seen.others[status] = (seen.others[status] ?? 0) + 1;
  }
  return seen;
}

/** Milliseconds until probes are as they were before the overload; Infinity if that did not happen while they ran. */
function recovery(probes, calmP99, endedAt) {
  const order = Array.from(probes.at.keys()).sort((a, b) => probes.at[a] - probes.at[b]);
  const good = order.map((i) => probes.statuses[i] === 200 && probes.latencies[i] <= 2 * calmP99);
  for (let from = 0; from + PROBES_NORMAL <= good.length; from++) {
    const normal = good.slice(from, from + PROBES_NORMAL).filter(Boolean).length;
    if (normal < NEARLY_ALL * PROBES_NORMAL) continue;
    return Math.max(0, probes.begunAt + probes.at[order[from]] - endedAt);
  }
  return Infinity;
}

class Drill {
  constructor({ server, callers, prober, seconds }) {
    Object.assign(this, { server, callers, prober, seconds });
  }

  order(load, order) {
    return load.order({ run: 'slow', port: this.server.port, ...order });
  }

  /** Answers a second, with as many callers as it takes to keep the runner busy. */
  async peakRate() {
    const cores = new CoreWatch(this.server.pid);
    const peak = await this.order(this.callers, { connections: PEAK_CONNECTIONS, durationMs: PEAK_MS });
    if (peak.failed || peak.broken) throw new Error(`refused below the limits: ${JSON.stringify(peak.statuses)}`);
    const rate = peak.requests / peak.seconds;
    return { rate, fair: fairly(rate, cores.stop()) };
  }

  /** What the server can do, how long one waits in its full queue, and what a lonely caller sees. */
  async measureNormal() {
    await this.peakRate(); // warm
    this.peaks = [await this.peakRate()];
    this.places = Math.min(QUEUE_PLACES, Math.floor(NEARLY_FULL * QUEUE_WAIT_S * this.peaks[0].rate));
    const full = await this.order(this.callers, { connections: this.places, durationMs: FULL_QUEUE_MS });
    if (full.failed || full.broken) {
      throw new Error(`not all were answered with a full queue: ${JSON.stringify(full.statuses)}`);
    }
    const calm = await this.order(this.prober, { rate: PROBE_RATE, connections: 2, durationMs: CALM_MS });
    this.fullP99 = quantile(full.latencies, 0.99);
    this.calmP99 = quantile(calm.latencies, 0.99);
  }

  async overload(factor) {
    const durationMs = this.seconds * 1e3;
    const before = this.peaks.at(-1);
    const cores = new CoreWatch(this.server.pid);
    const memory = new MemoryWatch(this.server.pid);
    const running = this.order(this.callers, {
      rate: factor * before.rate,
      connections: QUEUE_PLACES + 256,
      durationMs,
    });
    await sleep(durationMs + 300);
    const growth = memory.stop();
    const had = cores.stop();
    const probes = await this.order(this.prober, { rate: PROBE_RATE, connections: 2, durationMs: PROBE_MS });
    const result = await running;
    const seen = sort(result, durationMs);
    this.peaks.push(await this.peakRate());
    return {
      factor,
      // Machines have moods: what it could do is taken from both sides of the overload.
      ofPeak: fairly(seen.good / this.seconds, had) / ((before.fair + this.peaks.at(-1).fair) / 2),
      had,
      offered: result.intended / this.seconds,
      goodput: seen.good / this.seconds,
      accepted: quantile(seen.accepted, 0.99),
      refused: seen.refused.length / this.seconds,
      refusal: quantile(seen.refused, 0.99),
      late: quantile(result.lateness, 0.99),
      lost: result.broken + result.unanswered,
      others: seen.others,
      growth,
      recoveryMs: recovery(probes, this.calmP99, result.begunAt + durationMs),
    };
  }
}

/** The runner gets a core of its own, everything else shares the others. */
function pinApart(server, loads) {
  const cores = chooseCores();
  if (!cores) return;
  for (const one of processTree(server.pid)) pin(one.pid, one.kind === 'runner' ? cores.server : cores.others);
  for (const load of loads) pin(load.pid, cores.others);
  console.log(`runner on core ${cores.server}, everything else on the others (${cores.others})`);
}

function print(drill, overloads) {
  console.log(
    `peak ${drill.peaks.map(({ rate, fair }) => `${rate.toFixed(0)} (${fair.toFixed(0)})`).join(', ')}/s (with the whole core) before, between and after, at ${PEAK_CONNECTIONS} connections; ` +
      `p99 ${drill.fullP99.toFixed(0)} ms with a full queue of ${drill.places}, ${drill.calmP99.toFixed(1)} ms for a lonely caller`,
  );
  const head = ['offered', '/s', 'goodput /s', 'of peak', 'p99 ms', 'of full queue', 'refused /s', 'refusal p99 ms'];
  const rows = overloads.map((o) => [
    `${o.factor} × peak`,
    o.offered.toFixed(0),
    o.goodput.toFixed(0),
    percent(o.ofPeak),
    o.accepted.toFixed(0),
    (o.accepted / drill.fullP99).toFixed(2),
    o.refused.toFixed(0),
    o.refusal.toFixed(1),
    o.late.toFixed(1),
    shares(o.had.server),
    shares(o.had.runner),
    o.growth.toFixed(2),
    (o.recoveryMs / 1e3).toFixed(2),
  ]);
  console.log(
    table([
      [...head, 'sent late p99 ms', 'server had/lacked', 'runner had/lacked', 'memory ×', 'normal after s'],
      ...rows,
    ]),
  );
}

function missesOf(drill, o) {
  const list = [];
  if (o.ofPeak < GOALS.goodput) list.push('goodput');
  if (!(o.accepted <= GOALS.acceptedTimes * drill.fullP99)) list.push('p99 of the accepted');
  if (!(o.refusal <= GOALS.refusalMs)) list.push('p99 of refusals');
  if (o.growth > GOALS.growth) list.push('memory');
  if (o.recoveryMs > GOALS.recoveryMs) list.push('recovery');
  if (o.lost > 0) list.push(`${o.lost} requests without an answer`);
  for (const [status, count] of Object.entries(o.others)) list.push(`${count} times status ${status}`);
  return list.map((miss) => `${o.factor} × peak: ${miss}`);
}

async function main() {
  const seconds = wholeArgument('--seconds', 20);
  const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'sibyl-drill-'));
  const [callers, prober] = [new LoadProcess(), new LoadProcess()];
  const server = await startServer({ env: { SIBYL_RUNNERS: '1' } });
  try {
    const subject = slowSubject(scratch);
    await upload(server, subject);
    const requests = subject.requests('tensors', { 'x-api-key': await issueKey(server) });
    for (const load of [callers, prober]) load.prepare('slow', requests);
    pinApart(server, [callers, prober]);
    const drill = new Drill({ server, callers, prober, seconds });
    await drill.measureNormal();
    const overloads = [];
    for (const factor of FACTORS) overloads.push(await drill.overload(factor));
    print(drill, overloads);
    const misses = overloads.flatMap((one) => missesOf(drill, one));
    for (const miss of misses) console.log(`missed: ${miss}`);
    const worst = Math.min(...overloads.map((one) => one.ofPeak));
    console.log(`goodput ${(worst * 100).toFixed(1)} % of the peak under overload (goal ${percent(GOALS.goodput)})`);
    return misses.length === 0;
  } finally {
    for (const load of [callers, prober]) load.stop();
    await server.stop();
    fs.rmSync(scratch, { recursive: true });
  }
}

process.exitCode = (await main()) ? 0 : 1;
