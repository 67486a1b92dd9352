// npm run drill:kill: the server is killed with SIGKILL at random moments under load and started again on the same data.
// In the end every prediction that a caller holds an answer for must have exactly one event in the audit log.
//   --times N     how often (default 100)
//   --workers N   of several workers one is killed each time, and only every tenth time the whole server
//   --relaxed     with relaxed audit: what the kernel has must survive the process; and fewer syncs of the disk than answers
//   --self-test   a few kills, then one event is taken away and one doubled: the check must notice both
import { setTimeout as sleep } from 'node:timers/promises';
import { quantile } from '../bench/figures.mjs';
import { wholeArgument } from '../support/arguments.mjs';
import { allProcesses, processTree } from '../support/processes.mjs';
import { startServer } from '../support/server.mjs';
import { compare, noticesFaults, readUntilComplete } from './recorded-events.mjs';
import { RecordedLoad } from './recorded-load.mjs';

const CONNECTIONS = 16;
const LONGEST_LIFE_MS = 500; // kills fall anywhere from the first request to well into the shipping of events
const WHOLE_KILL_EVERY = 10;
const EARLY_KILL_EVERY = 10; // one in ten falls into the start itself, where leftovers of the last life are recovered
const LONGEST_EARLY_LIFE_MS = 800;
const SELF_TEST_KILLS = 3;
const LEFTOVER_GRACE_MS = 5_000;

const selfTest = process.argv.includes('--self-test');
const times = selfTest ? SELF_TEST_KILLS : wholeArgument('--times', 100);
const workers = wholeArgument('--workers', 1);
const relaxed = process.argv.includes('--relaxed');

async function teamKey(server) {
  const issued = await server.call('POST', '/v1/keys', { body: { name: 'drill', role: 'team' } });
  if (issued.status !== 201) throw new Error(`no key: ${issued.status} ${JSON.stringify(issued.body)}`);
  return issued.body.key;
}

/** Kills and restarts; returns the milliseconds that each restart took until ready. */
async function killRepeatedly(server) {
  const restarts = [];
  for (let kill = 1; kill <= times; kill++) {
    await sleep(Math.random() * LONGEST_LIFE_MS);
    await server.kill9();
    if (kill % EARLY_KILL_EVERY === 0) {
      await server.launch();
      await sleep(Math.random() * LONGEST_EARLY_LIFE_MS);
      await server.kill9();
    }
    await server.start();
    restarts.push(server.readyMs);
    if (kill % 20 === 0) console.log(`  ${kill} kills, restart p50 ${quantile(restarts, 0.5).toFixed(0)} ms`);
  }
  return restarts;
}

/** Kills one worker at a time, whichever; its successor may be the next. Every tenth time the whole server is killed. */
async function killWorkers(server) {
  const restarts = [];
  for (let kill = 1; kill <= times; kill++) {
    await sleep(Math.random() * 2 * LONGEST_LIFE_MS);
    if (kill % WHOLE_KILL_EVERY === 0) {
      await server.kill9();
      await server.start();
      restarts.push(server.readyMs);
      continue;
    }
    const alive = processTree(server.pid).filter((one) => one.kind === 'api' && one.pid !== server.pid);
    if (alive.length > 0) process.kill(alive[Math.floor(Math.random() * alive.length)].pid, 'SIGKILL');
    if (kill % 20 === 0) console.log(`  ${kill} kills`);
  }
  return restarts;
}

/** Processes that still work in the folders of a server that has ended. */
async function leftovers(marks) {
  const until = performance.now() + LEFTOVER_GRACE_MS;
  for (;;) {
    const left = allProcesses().filter((one) => one.state !== 'Z' && marks.some((mark) => one.command.includes(mark)));
    if (left.length === 0 || performance.now() > until) return left;
    await sleep(100);
  }
}

/** What the server that answers now, or one of its workers, says of its spool: whether relaxed audit spared the disk. */
async function sparedTheDisk(server) {
  const { status, body } = await server.call('GET', '/health/detailed');
  if (status !== 200) throw new Error(`no health: ${status}`);
  const { durability, events, writes, syncs } = body.audit;
  console.log(`${durability} audit, last life: ${events} events, ${writes} writes, ${syncs} syncs of the disk`);
  return relaxed ? syncs < events : true;
}

function howKilled() {
  if (workers === 1) return `${Math.floor(times / EARLY_KILL_EVERY)} more during the start`;
  return `${Math.floor(times / WHOLE_KILL_EVERY)} of them the primary, the others one of ${workers} workers`;
}

/** Nothing but 503 was refused, and the last stop leaves nothing behind. */
async function endsInOrder(server, load) {
  const untrue = [...load.refused.keys()].filter((name) => !name.startsWith('503'));
  if (untrue.length > 0) console.log(`refused with something else than 503: ${untrue.join(', ')}`);
  const end = await server.terminate();
  const left = await leftovers([server.dataDir]);
  if (left.length > 0) console.log(`left behind: ${left.map((one) => `${one.pid} ${one.command}`).join('; ')}`);
  if (end.code !== 0) console.log(`the last stop ended with ${end.code ?? end.signal}`);
  return untrue.length === 0 && left.length === 0 && end.code === 0;
}

async function main() {
  const server = await startServer({
    env: { SIBYL_WORKERS: String(workers), SIBYL_AUDIT_DURABILITY: relaxed ? 'relaxed' : 'durable' },
  });
  try {
    const load = new RecordedLoad({ port: server.port, key: await teamKey(server), connections: CONNECTIONS }).start();
    const restarts = await (workers > 1 ? killWorkers(server) : killRepeatedly(server));
    await sleep(LONGEST_LIFE_MS); // some answers of the last life too
    await load.stop();
    const spared = await sparedTheDisk(server);

    const { events, waitedMs } = await readUntilComplete(server, load.answered);
    const found = compare(load.answered, events);
    console.log(
      `${times} kills (${howKilled()}), ${CONNECTIONS} connections; ` +
        `restart p50 ${quantile(restarts, 0.5).toFixed(0)} ms, longest ${quantile(restarts, 1).toFixed(0)} ms`,
    );
    console.log(
      `${load.answered.length} answered, ${load.broken} broken calls, ${load.failures} refused ` +
        `${JSON.stringify(Object.fromEntries(load.refused))}`,
    );
    console.log(
      `${found.events} events in ${found.chains} chains, ${found.untold} of predictions whose answer never arrived, ` +
        `${found.repeated} sequence numbers used twice; all read ${(waitedMs / 1e3).toFixed(1)} s after the load`,
    );
    if (selfTest) {
      const noticed = noticesFaults(load.answered, events);
      console.log(`self-test: the check ${noticed ? 'notices' : 'DOES NOT NOTICE'} a missing and a doubled event`);
      return noticed;
    }
    const isOrderly = await endsInOrder(server, load);
    console.log(
      `${found.missing.length} of ${load.answered.length} answered predictions without their event, ${found.twice.length} with two, after ${times} kills`,
    );
    const kept = found.missing.length === 0 && found.twice.length === 0 && found.repeated === 0;
    return kept && spared && isOrderly && load.answered.length > times;
  } finally {
    await server.stop();
  }
}

process.exitCode = (await main()) ? 0 : 1;
