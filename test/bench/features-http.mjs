// Reads over HTTP of one caller, and what the same answers take a server that does nothing for them.
import fs from 'node:fs';
import { temporaryFolder } from '../conformance/peer.mjs';
import { startBare } from './features-feast.mjs';
import { bar, Caller, measure } from './features-stand.mjs';
import { ms, quantile } from './figures.mjs';
import { DurableWrites } from './machine.mjs';

const SIZES = [
  { entities: 1, requests: 2000, warm: 3000, goal: 2 },
  { entities: 10, requests: 1000, warm: 500, goal: 3 },
  { entities: 100, requests: 300, warm: 100, goal: 12 },
  { entities: 1000, requests: 60, warm: 10, goal: 50 },
];
const ROUNDS = 3;
const PATH = '/v1/features/online';
const WRITES = 300;

/**
 * All computed: each entity that is read has had an event since it was read last. One changes each moment: that and what is made of it
 * is computed. Found again: nothing has happened since.
 */
const READS = [
  { what: 'all computed', set: 'bench_set', pushes: true },
  { what: 'one changes each moment', set: 'bench_moving_set', pushes: false },
  { what: 'found again', set: 'bench_set', pushes: false },
];

/**
 * In rounds, each of them all kinds and sizes, and the middle one counts: a machine that is shared has slow minutes. Beside it what
 * the machine itself takes meanwhile: bare node:http that knows the answer by heart, and the durable write that each answer waits for.
 */
export async function readOverHttp(stand, tell) {
  const cells = READS.flatMap((kind) => SIZES.map((size) => ({ ...kind, ...size, rounds: [] })));
  const bare = SIZES.map((size) => ({ ...size, rounds: [] }));
  const disk = [];
  for (let round = 0; round < ROUNDS; round++) {
    for (const cell of cells) cell.rounds.push(await readRound(stand, cell));
    for (const cell of bare) cell.rounds.push(await bareRound(stand, cell));
    disk.push(...(await durableWrites()));
  }
  stand.reader.close();
  console.log(`a durable write of this machine: p50 ${ms(quantile(disk, 0.5))}, p95 ${ms(quantile(disk, 0.95))}`);
  for (const { what, entities, goal, rounds } of cells) {
    const [least, { p95, p50, cpu }, most] = rounds.toSorted((a, b) => a.p95 - b.p95);
    const [, least95] = bare.find((one) => one.entities === entities).rounds.toSorted((a, b) => a.p95 - b.p95);
    tell(
      `HTTP, 20 features of ${entities}, ${what}: p95 (other rounds; p50; CPU${what === READS[0].what ? ' with pushes' : ''}; p95 of bare node:http)`,
      `${ms(p95)} (${ms(least.p95)}, ${ms(most.p95)}; ${ms(p50)}; ${ms(cpu)}; ${ms(least95.p95)})`,
      `< ${goal} ms`,
      p95 < goal,
    );
  }
}

const pick = (symbols, i, count) => Array.from({ length: count }, (_, j) => symbols[(i * count + j) % symbols.length]);

async function durableWrites() {
  const folder = temporaryFolder('bench-disk');
  const writes = await DurableWrites.open(folder);
  await writes.measure(WRITES);
  await writes.close();
  fs.rmSync(folder, { recursive: true, force: true });
  return writes.times;
}

async function bareRound({ reader, symbols }, { entities, requests }) {
  const entitiesOf = pick(symbols, 0, entities).map((symbol) => ({ symbol }));
  const body = JSON.stringify({ set: 'bench_set', entities: entitiesOf });
  const bare = await startBare(await reader.post(PATH, body));
  const caller = new Caller(bare.url);
  try {
    return await measure(caller, bare.pid, { requests, path: PATH, bodyOf: () => body });
  } finally {
    caller.close();
    await bare.stop();
  }
}

let pushed = 0;

async function readRound({ server, caller, reader, symbols }, { set, pushes, entities, requests, warm, rounds }) {
  const bodyOf = (i) => JSON.stringify({ set, entities: pick(symbols, i, entities).map((symbol) => ({ symbol })) });
  const push = (i) => {
    const close = 100 + (pushed++ % 13);
    const events = pick(symbols, i, entities).map((symbol, k) => bar(symbol, Date.now(), close + (k % 7)));
    return caller.post('/v1/features/push', JSON.stringify({ stream: 'bench_bars', events }));
  };
  // Each entity is read once before: what is measured is computing and not reading the log.
  for (let i = 0; i < 1000 / entities; i++) await reader.post(PATH, bodyOf(i));
  const asked = { requests, warm: rounds.length === 0 ? warm : warm / 10, path: PATH, bodyOf };
  return measure(reader, server.pid, { ...asked, ...(pushes && { before: push }) });
}
