// npm run drill:keep: the server is killed with SIGKILL at random moments while versions are registered, sent in parts, imported as
// files and deleted, and started again on the same data. After each start the disk must hold what the registry says, and no more.
//   --times N   how often (default 20)
import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { wholeArgument } from '../support/arguments.mjs';
import { startServer } from '../support/server.mjs';

const require = createRequire(import.meta.url);
require('../support/load-typescript.cjs');
const { linearModel } = require('@sibyl/onnx/testing');

const LONGEST_LIFE_MS = 4000; // several changes of each kind end in it, and the next are under way
const BUSY = 3;
const FILE_TYPE = 'application/vnd.sibyl.version';
const times = wholeArgument('--times', 20);
const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');

/** Makes changes until the server is gone. */
async function change(server, counted, life, lane) {
  const model = `kept-${lane}`;
  const call = async (method, route, body, type) => {
    const headers = { 'x-api-key': server.adminKey, 'content-type': type ?? 'application/json' };
    const sent = type === undefined ? JSON.stringify(body) : body;
    const init = { method, headers, body: sent };
    const answer = await fetch(server.url + route, init);
    await answer.arrayBuffer();
    return answer;
  };
  for (let n = 0; ; n++) {
    const version = `${life}.${n}`;
    const files = { 'model.onnx': linearModel({ weights: [[lane]], bias: [life * 1000 + n] }) };
    files['sibyl.json'] = Buffer.from(JSON.stringify({ name: model, version }));
    for (const bytes of Object.values(files))
      await call('PUT', `/v1/models/${model}/uploads/${sha256(bytes)}`, bytes, 'application/octet-stream');
    const digests = Object.fromEntries(Object.entries(files).map(([name, bytes]) => [name, sha256(bytes)]));
    const registered = await call('POST', `/v1/models/${model}/versions`, { files: digests });
    if (registered.status === 201) counted.registered++;
    const answer = await fetch(`${server.url}/v1/models/${model}/versions/${version}/export`, {
      headers: { 'x-api-key': server.adminKey },
    });
    const file = Buffer.from(await answer.arrayBuffer());
    const deleted = await call('DELETE', `/v1/models/${model}/versions/${version}`, { reason: 'a drill' });
    if (deleted.status === 200) counted.deleted++;
    if (n % 2 === 1) continue;
    const imported = await call('POST', `/v1/models/${model}/versions`, file, FILE_TYPE);
    if (imported.status === 200) counted.imported++;
  }
}

/** Differences between the disk and the registry, in words. */
async function faults(server) {
  const artifacts = path.join(server.dataDir, 'artifacts');
  const found = [];
  for (const folder of ['staging', 'uploads'])
    for (const name of readdirSync(path.join(artifacts, folder))) found.push(`${folder}/${name} was left`);
  const needed = new Map();
  for (let lane = 1; lane <= BUSY; lane++) {
    const list = await server.call('GET', `/v1/models/kept-${lane}/versions`);
    for (const { version } of list.body.versions ?? []) {
      const { body } = await server.call('GET', `/v1/models/kept-${lane}/versions/${version}`);
      if (body.deletion === undefined) needed.set(body.digest.slice('sha256:'.length), body);
    }
  }
  const stored = readdirSync(path.join(artifacts, 'packages'));
  for (const name of stored) if (!needed.has(name)) found.push(`the package ${name} belongs to no version`);
  const check = await server.call('POST', '/health/artifacts/check', { body: {}, timeoutMs: 60_000 });
  for (const { model, version } of check.body.damaged) found.push(`${model} ${version} is damaged`);
  return { found, versions: needed.size, stored: stored.length };
}

const server = await startServer({ env: { SIBYL_MODELS: '' } });
const counted = { registered: 0, deleted: 0, imported: 0 };
let all = [];
try {
  for (let life = 1; life <= times; life++) {
    const lanes = Array.from({ length: BUSY }, (_, lane) =>
      change(server, counted, life, lane + 1).catch(() => undefined),
    );
    await sleep(Math.random() * LONGEST_LIFE_MS);
    await server.kill9();
    await Promise.all(lanes);
    await server.start();
    const { found, versions, stored } = await faults(server);
    all = [...all, ...found.map((text) => `life ${life}: ${text}`)];
    if (life % 5 === 0) console.log(`  ${life} kills, ${versions} versions with bytes, ${stored} packages on disk`);
  }
} finally {
  await server.stop();
}
for (const text of all.slice(0, 20)) console.log(text);
const { registered, deleted, imported } = counted;
console.log(`${times} kills, ${registered} registered, ${deleted} deleted, ${imported} imported: ${all.length} faults`);
process.exit(all.length === 0 && registered > 0 && deleted > 0 && imported > 0 ? 0 : 1);
