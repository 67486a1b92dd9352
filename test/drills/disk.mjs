// npm run drill:disk: the file system under the audit spool is full while PostgreSQL takes nothing. Predictions must be
// refused with 503 audit_unavailable as long as they cannot be recorded, nothing that was answered may be lost, and with
// room on the disk everything goes on without a restart. It mounts a small file system and therefore needs root.
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startServer } from '../support/server.mjs';
import { freeze, thaw } from './postgres-faults.mjs';
import { compare, readUntilComplete } from './recorded-events.mjs';
import { RecordedLoad } from './recorded-load.mjs';
import { fillUp, moveToSmallDisk, unmountAll } from './small-disk.mjs';

const CONNECTIONS = 16;
const DISK_MIB = 96;
const FULL_LIMIT_MS = 120_000; // the segments made ahead take events for a while
const FULL_FOR_MS = 3_000;
const RECOVERY_GOAL_MS = 10_000;

/** The folder directly below the data folder in which the spool has its segments. */
function spoolTop(dataDir) {
  const files = fs.readdirSync(dataDir, { recursive: true }).map(String);
  const segment = files.find((file) => file.endsWith('.seg') && !/(^|\/)(pg_|base|postgres)/.test(file));
  if (!segment) throw new Error(`no spool segment below ${dataDir}`);
  return path.join(dataDir, segment.split(path.sep)[0]);
}

async function until(condition, limitMs) {
  const begun = performance.now();
  while (!(await condition())) {
    if (performance.now() - begun > limitMs) return Infinity;
    await sleep(20);
  }
  return performance.now() - begun;
}

/** The drill itself, on a running server whose spool lies in `folder`, a small file system. */
async function drill(server, folder, load) {
  await sleep(2_000);
  const refrozen = setInterval(() => freeze(server.pid), 500); // also what the server starts in place of a dead one
  freeze(server.pid);
  try {
    const filler = fillUp(folder);
    const goneOnMs = await until(() => load.failures > 0, FULL_LIMIT_MS);
    const answeredBefore = load.answered.length;
    await sleep(FULL_FOR_MS);
    const ready = await server.call('GET', '/ready', { key: null });
    const live = await server.call('GET', '/health/live', { key: null });
    const answeredWhileFull = load.answered.length - answeredBefore;
    const refusedWhileFull = load.failures;
    fs.rmSync(filler);
    const count = load.answered.length;
    const recoveryMs = await until(() => load.answered.length > count, RECOVERY_GOAL_MS * 3);
    await sleep(1_000);
    return { goneOnMs, ready: ready.status, live: live.status, answeredWhileFull, refusedWhileFull, recoveryMs };
  } finally {
    clearInterval(refrozen);
    thaw(server.pid);
  }
}

function misses(seen, load, found) {
  const list = [];
  if (seen.goneOnMs === Infinity) list.push('the disk was full and predictions were never refused');
  const wrong = [...load.refused.keys()].filter((name) => name !== '503 audit_unavailable');
  if (wrong.length > 0) list.push(`refused with ${wrong.join(', ')}`);
  if (load.broken > 0) list.push(`${load.broken} connections broke`);
  if (seen.ready !== 503) list.push(`/ready answered ${seen.ready} while nothing could be recorded`);
  if (seen.live !== 200) list.push(`/health/live answered ${seen.live}`);
  if (seen.recoveryMs > RECOVERY_GOAL_MS)
    list.push(`predictions were answered only ${seen.recoveryMs.toFixed(0)} ms after there was room`);
  if (found.missing.length > 0) list.push(`${found.missing.length} answered predictions without an event`);
  if (found.twice.length > 0 || found.repeated > 0) list.push(`${found.twice.length} predictions with two events`);
  return list;
}

async function main() {
  const server = await startServer();
  try {
    const issued = await server.call('POST', '/v1/keys', { body: { name: 'drill', role: 'team' } });
    const folder = spoolTop(server.dataDir); // while it runs: a spool that was shipped whole is removed at the end
    await server.terminate();
    if (!moveToSmallDisk(folder, DISK_MIB)) {
      console.log('skipped: this user may not mount a file system, so no disk was filled and nothing was checked');
      return true;
    }
    await server.start();
    const load = new RecordedLoad({ port: server.port, key: issued.body.key, connections: CONNECTIONS }).start();
    const seen = await drill(server, folder, load);
    await load.stop();
    const { events } = await readUntilComplete(server, load.answered);
    const found = compare(load.answered, events);
    console.log(
      `full disk with PostgreSQL frozen: predictions went on for ${(seen.goneOnMs / 1e3).toFixed(1)} s in the segments made ahead`,
    );
    console.log(
      `while full: ${seen.refusedWhileFull} refused, ${seen.answeredWhileFull} answered, /ready ${seen.ready}, /health/live ${seen.live}; ` +
        `answered again ${seen.recoveryMs.toFixed(0)} ms after there was room`,
    );
    const list = misses(seen, load, found);
    for (const miss of list) console.log(`missed: ${miss}`);
    console.log(
      `${load.answered.length} predictions answered, ${load.failures} refused; ` +
        `${found.missing.length} without their event, ${found.twice.length} with two`,
    );
    return list.length === 0;
  } finally {
    await server.terminate();
    unmountAll();
    await server.stop();
  }
}

process.exitCode = (await main()) ? 0 : 1;
