// npm run drill:store: the disk of the content store is full while versions come by every way there is. Whoever brings one is told
// 503 storage_full and nothing else, what serves goes on, nothing is half there, and with room on the disk the same calls succeed
// and nothing is left over. It mounts a small file system and therefore needs root.
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { startServer } from '../support/server.mjs';
import { fillUp, moveToSmallDisk, unmountAll } from './small-disk.mjs';

const require = createRequire(import.meta.url);
require('../support/load-typescript.cjs');
const { linearModel } = require('@sibyl/onnx/testing');

const DISK_MIB = 64;
const WEIGHTS_BYTES = 2 * 1024 * 1024;
/** Room that is left, in packages: the disk is full at once, in the first copy, in the second, or for one of many. */
const LEVELS = [0, 0.01, 0.5, 1.2, 1.9, 2.5];
const FILE_TYPE = 'application/vnd.sibyl.version';
const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');

const misses = [];
const told = new Map();
let refused = 0;
let completed = 0;
let next = 1;

/** The files of a version that no other has. */
function packageOf(model, version) {
  const weights = Buffer.alloc(WEIGHTS_BYTES, `${model} ${version}`);
  const document = { name: model, version, task: 'regression', files: ['weights.bin'] };
  return {
    'model.onnx': linearModel({ weights: [[0]], bias: [next] }),
    'sibyl.json': Buffer.from(JSON.stringify(document)),
    'weights.bin': weights,
  };
}

async function call(server, method, route, body, type) {
  const headers = { 'x-api-key': server.adminKey, ...(type === undefined ? {} : { 'content-type': type }) };
  const init = { method, headers, body, signal: AbortSignal.timeout(60_000) };
  const answer = await fetch(server.url + route, init);
  const text = await answer.text();
  return { status: answer.status, body: text.startsWith('{') ? JSON.parse(text) : {} };
}

const json = (server, route, body) => call(server, 'POST', route, JSON.stringify(body), 'application/json');

/** Every way in: each answers the first refusal, or the version. */
const WAYS = {
  async form(server, model, files) {
    const form = new FormData();
    for (const [name, bytes] of Object.entries(files)) form.append('f', new Blob([bytes]), name);
    return call(server, 'POST', `/v1/models/${model}/versions`, form);
  },
  async digests(server, model, files) {
    for (const bytes of Object.values(files)) {
      const route = `/v1/models/${model}/uploads/${sha256(bytes)}`;
      const sent = await call(server, 'PUT', route, bytes, 'application/octet-stream');
      if (sent.status >= 300) return sent;
    }
    const digests = Object.fromEntries(Object.entries(files).map(([name, bytes]) => [name, sha256(bytes)]));
    return json(server, `/v1/models/${model}/versions`, { files: digests });
  },
  async folder(server, model, files) {
    const place = path.join(server.dataDir, 'import', model);
    fs.mkdirSync(place, { recursive: true });
    for (const [name, bytes] of Object.entries(files)) fs.writeFileSync(path.join(place, name), bytes);
    return json(server, `/v1/models/${model}/versions`, { source_uri: `file://${place}` });
  },
  async exported(server, model, files, { exported }) {
    return call(server, 'POST', `/v1/models/${model}/versions`, exported, FILE_TYPE);
  },
};

const folderOf = (server, name) => path.join(server.dataDir, 'artifacts', name);
const entries = (folder) => (fs.existsSync(folder) ? fs.readdirSync(folder) : []);

/** What lies in the store that no version needs, and versions that are neither there nor not there. */
async function leftovers(server, models) {
  const digests = new Set();
  const found = [];
  for (const model of models) {
    const { body } = await server.call('GET', `/v1/models/${model}/versions`);
    for (const { version, status, digest } of body.versions ?? []) {
      digests.add(digest.slice('sha256:'.length));
      if (!['validated', 'active', 'archived'].includes(status)) found.push(`${model} ${version} is ${status}`);
    }
  }
  for (const name of ['staging', 'uploads'])
    found.push(...entries(folderOf(server, name)).map((entry) => `${name}/${entry} was left`));
  const sent = fs.existsSync(folderOf(server, 'files'))
    ? fs.readdirSync(folderOf(server, 'files'), { recursive: true, withFileTypes: true })
    : [];
  found.push(
    ...sent.filter((entry) => entry.isFile() && entry.name.endsWith('.part')).map(({ name }) => `files/${name}`),
  );
  for (const name of entries(folderOf(server, 'packages')))
    if (!digests.has(name)) found.push(`the package ${name} belongs to no version`);
  return found;
}

function judge(where, { status, body }) {
  const said = `${status} ${body.code ?? ''}`.trim();
  told.set(said, (told.get(said) ?? 0) + 1);
  if (status === 503 && body.code === 'storage_full') refused++;
  else if (status !== 201 && status !== 200) misses.push(`${where}: ${said} ${body.detail ?? ''}`);
  return status < 300;
}

/** Brings one version by each way with so much room, alone or all at once; then there is room again. */
async function scene(server, level, together) {
  const jobs = Object.entries(WAYS).map(([way, bring]) => {
    const model = `${way}-${next++}`;
    return { where: `${way} with room for ${level}`, model, bring, files: packageOf(model, '1') };
  });
  for (const job of jobs) if (job.bring === WAYS.exported) job.exported = await exportOf(server, job);
  const filler = fillUp(folderOf(server, ''), level * WEIGHTS_BYTES);
  const open = [];
  try {
    const attempt = async (job) => {
      if (!judge(job.where, await job.bring(server, job.model, job.files, job))) open.push(job);
    };
    if (together) await Promise.all(jobs.map(attempt));
    else for (const job of jobs) await attempt(job);
    const answer = await server.call('POST', '/predict', { body: { features: { features: 0 }, model: 'serving' } });
    if (answer.status !== 200) misses.push(`a prediction on a full disk: ${answer.status} ${answer.body.code}`);
  } finally {
    fs.rmSync(filler);
  }
  const models = jobs.map(({ model }) => model);
  misses.push(
    ...(await leftovers(server, ['serving', ...models])).map((left) => `full with room for ${level}: ${left}`),
  );
  for (const job of open) {
    const again = await job.bring(server, job.model, job.files, job);
    if (again.status < 300) completed++;
    else misses.push(`${job.where}, again with room: ${again.status} ${again.body.code} ${again.body.detail}`);
  }
  misses.push(...(await leftovers(server, ['serving', ...models])).map((left) => `afterwards: ${left}`));
  // The disk is small: what has been looked at goes.
  for (const model of models)
    await server.call('DELETE', `/v1/models/${model}/versions/1`, { body: { reason: 'the next scene' } });
}

/** The job's version as a file, which its own server made and has forgotten since. */
async function exportOf(server, { model, files }) {
  await WAYS.form(server, model, files);
  const answer = await fetch(`${server.url}/v1/models/${model}/versions/1/export`, {
    headers: { 'x-api-key': server.adminKey },
  });
  const file = Buffer.from(await answer.arrayBuffer());
  await server.call('DELETE', `/v1/models/${model}/versions/1`, { body: { reason: 'it comes back as a file' } });
  return file;
}

async function main() {
  const server = await startServer({ env: { SIBYL_MODELS: '', SIBYL_KEEP_PREDICTED_DAYS: '0' } });
  try {
    await server.terminate();
    if (!moveToSmallDisk(folderOf(server, ''), DISK_MIB)) {
      console.log('skipped: this user may not mount a file system, so no disk was filled and nothing was checked');
      return true;
    }
    await server.start();
    const first = await WAYS.form(server, 'serving', packageOf('serving', '1'));
    if (first.status !== 201) throw new Error(`the first version: ${first.status} ${JSON.stringify(first.body)}`);
    for (const level of LEVELS) await scene(server, level, false);
    for (const level of LEVELS) await scene(server, level * 3, true);
    for (const miss of misses.slice(0, 20)) console.log(`missed: ${miss}`);
    console.log(`answered ${JSON.stringify(Object.fromEntries(told))}, ${completed} completed once there was room`);
    if (refused < LEVELS.length) misses.push('the disk was hardly ever full');
    console.log(
      `${refused} calls met a full disk; ${misses.length} things were answered wrong, half there or left behind`,
    );
    return misses.length === 0;
  } finally {
    await server.terminate();
    unmountAll();
    await server.stop();
  }
}

process.exitCode = (await main()) ? 0 : 1;
