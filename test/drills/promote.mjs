// npm run drill:promote: an alias is promoted and rolled back, again and again, under load. No request fails, every answer
// comes from exactly the version that it names, and that is one that the alias pointed at while the request was under way;
// a rollback is done in 100 ms, and callers notice nothing of a switch in their latency.
//   --times N     promotions, each with its rollback (default 50)
//   --workers N   of a server of several workers (default 1)
import { fork } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { quantile, table } from '../bench/figures.mjs';
import { wholeArgument } from '../support/arguments.mjs';
import { REPOSITORY, startServer } from '../support/server.mjs';
import { clock } from './versioned-load.mjs';
import { production, promote, rollback, upload } from './versioned-models.mjs';

const CONNECTIONS = 64;
const WARM_MS = 3_000;
const PAUSE_MS = 400; // between two moves: what one leaves behind, and the calm that the next is compared with
const SWITCH_MS = 150; // from the beginning of a move: it and what it leaves behind
const ROLLBACK_GOAL_MS = 100;
const LATENCY_GOAL = 1.2;

const times = wholeArgument('--times', 50);
const workers = wholeArgument('--workers', 1);

/** Moves 1 → 2 → 1 → 3 → 1 → …, so that of three versions two are valid at a time. */
async function move(server) {
  const moves = [];
  let etag = (await production(server)).body.etag;
  const step = async (kind, from, to, call) => {
    await sleep(PAUSE_MS);
    const begun = clock();
    const answer = await call();
    const ended = clock();
    if (answer.status !== 200 || answer.body.version !== String(to))
      throw new Error(`${kind} to ${to}: ${answer.status} ${JSON.stringify(answer.body)}`);
    etag = answer.body.etag;
    moves.push({ kind, from, to, begun, ended });
  };
  for (let i = 0; i < times; i++) {
    const to = 2 + (i % 2);
    await step('promote', 1, to, () => promote(server, to, etag));
    await step('rollback', to, 1, () => rollback(server, etag));
  }
  await sleep(PAUSE_MS);
  return moves;
}

/** Answers of versions that the alias did not point at at any moment of their request. */
function strays(seen, moves) {
  let count = 0;
  seen.versions.forEach((version, i) => {
    const [sent, answered] = [seen.sentAt[i], seen.answeredAt[i]];
    // The last move that had ended when it was sent says what was valid then; those that began before the answer add theirs.
    let valid = false;
    let at = moves.findLastIndex(({ ended }) => ended < sent);
    valid ||= version === (at < 0 ? moves[0].from : moves[at].to);
    for (at++; !valid && at < moves.length && moves[at].begun <= answered; at++) valid = version === moves[at].to;
    if (!valid) count++;
  });
  return count;
}

function latenciesBetween(seen, windows) {
  const found = [];
  for (const [from, to] of windows)
    for (let i = firstAfter(seen.answeredAt, from); i < seen.answeredAt.length && seen.answeredAt[i] < to; i++)
      found.push(seen.answeredAt[i] - seen.sentAt[i]);
  return found;
}

function firstAfter(sorted, value) {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

function report(seen, moves) {
  const spans = moves.map(({ begun, ended }) => [begun, Math.max(begun + SWITCH_MS, ended)]);
  const calm = latenciesBetween(
    seen,
    spans.map(([from, to]) => [from - (to - from), from]),
  );
  const switching = latenciesBetween(seen, spans);
  const tookOf = (kind) => moves.filter((one) => one.kind === kind).map(({ begun, ended }) => ended - begun);
  const line = (name, values) => [
    name,
    values.length,
    ...[0.5, 0.99, 1].map((share) => quantile(values, share).toFixed(2)),
  ];
  console.log(
    table([
      ['', 'count', 'p50 ms', 'p99 ms', 'longest ms'],
      line('answers before a switch', calm),
      line('answers during a switch', switching),
      line('promotions', tookOf('promote')),
      line('rollbacks', tookOf('rollback')),
    ]),
  );
  return { ratio: quantile(switching, 0.99) / quantile(calm, 0.99), slowestRollback: Math.max(...tookOf('rollback')) };
}

async function main() {
  const server = await startServer({ env: { SIBYL_MODELS: '', SIBYL_WORKERS: String(workers) } });
  const load = fork(path.join(REPOSITORY, 'test/drills/versioned-load.mjs'), { serialization: 'advanced' });
  try {
    for (const version of [1, 2, 3]) {
      const { status, body } = await upload(server, version);
      if (status !== 201) throw new Error(`registering answered ${status} ${JSON.stringify(body)}`);
    }
    await promote(server, 1);
    load.send({ port: server.port, key: server.adminKey, connections: CONNECTIONS });
    await sleep(WARM_MS);
    const moves = await move(server);
    load.send('stop');
    const [seen] = await once(load, 'message');
    const failed = seen.broken + Object.values(seen.refused).reduce((sum, count) => sum + count, 0);
    const stray = strays(seen, moves);
    const { ratio, slowestRollback } = report(seen, moves);
    if (failed > 0)
      console.log(`missed: ${failed} requests failed ${JSON.stringify(seen.refused)}, ${seen.broken} broken`);
    if (ratio > LATENCY_GOAL) console.log(`missed: p99 during a switch is ${ratio.toFixed(2)} of the one before`);
    if (slowestRollback >= ROLLBACK_GOAL_MS) console.log(`missed: a rollback took ${slowestRollback.toFixed(0)} ms`);
    console.log(
      `${moves.length} switches on ${workers} worker${workers > 1 ? 's' : ''} under ${CONNECTIONS} connections: ` +
        `${failed} of ${seen.versions.length + failed} failed, ${seen.mixed} mixed, ${stray} of a version not served then; ` +
        `p99 ${ratio.toFixed(2)} of before, slowest rollback ${slowestRollback.toFixed(0)} ms`,
    );
    return failed + seen.mixed + stray === 0 && ratio <= LATENCY_GOAL && slowestRollback < ROLLBACK_GOAL_MS;
  } finally {
    if (load.connected) load.disconnect();
    load.kill();
    await server.stop();
  }
}

process.exitCode = (await main()) ? 0 : 1;
