// npm run bench:import: a package of 1 GB is imported from an HTTP server on this machine, while the server tells how much memory
// it takes and how late its event loop is. The figures are of the whole import: fetched, copied into the store, checked, tried.
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';
import { once } from 'node:events';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort, REPOSITORY, startServer } from '../support/server.mjs';
import { loopDelayMs, scrape } from './metrics.mjs';

const MEBIBYTE = 1024 ** 2;
const CHUNK = randomBytes(MEBIBYTE);
const GOALS = { rssMib: 100, loopDelayMs: 20 };
const MODEL = fs.readFileSync(path.join(REPOSITORY, 'examples/models/momentum-1.2.3/model.onnx'));

/** A package of a small model with a file of so many MiB beside it, at /<mebibytes>/. */
function answer(request, response) {
  const [, mebibytes, file] = request.url.split('/');
  const manifest = JSON.stringify({ name: `large-${mebibytes}`, version: '1.0.0', files: ['weights.bin'] });
  const small = { 'sibyl.json': manifest, 'model.onnx': MODEL }[file];
  if (file === 'weights.bin') {
    response.writeHead(200, { 'content-length': mebibytes * MEBIBYTE, etag: '"1"' });
    let sent = 0;
    const more = () => {
      while (sent++ < mebibytes) if (!response.write(CHUNK)) return;
      response.end();
    };
    response.on('drain', more);
    more();
  } else if (small === undefined) response.writeHead(404).end();
  else response.writeHead(200, { 'content-length': Buffer.byteLength(small) }).end(small);
}

const rssOf = (pid) => Number(/VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1024;

async function importOf(server, base, mebibytes) {
  const begun = performance.now();
  const body = { source_uri: `${base}/${mebibytes}/sibyl.json` };
  const headers = { prefer: 'respond-async' };
  const { status, body: operation } = await server.call('POST', `/v1/models/large-${mebibytes}/versions`, {
    body,
    headers,
  });
  if (status !== 202) throw new Error(`${status} ${JSON.stringify(operation)}`);
  let most = 0;
  let seen = 0;
  for (;;) {
    most = Math.max(most, rssOf(server.pid));
    const { body: now } = await server.call('GET', `/v1/operations/${operation.id}`);
    if (now.status === 'running' && now.progress.done > 0) seen += 1;
    if (now.status === 'succeeded') return { most, seen, seconds: (performance.now() - begun) / 1e3 };
    if (now.status !== 'running') throw new Error(JSON.stringify(now));
    await sleep(50);
  }
}

const files = http.createServer(answer);
const port = await freePort();
files.listen(port, '127.0.0.1');
await once(files, 'listening');
const server = await startServer({ env: { SIBYL_IMPORT_HOSTS: `127.0.0.1:${port}` } });
try {
  const base = `http://127.0.0.1:${port}`;
  // What any first import needs is there before the large one is looked at.
  await importOf(server, base, 16);
  await sleep(1000);
  const before = rssOf(server.pid);
  await scrape(server); // the delay of the event loop counts from here
  const { most, seen, seconds } = await importOf(server, base, 1024);
  const delay = loopDelayMs(await scrape(server), 0.99);
  const grown = most - before;
  console.log(
    `1 GB imported in ${seconds.toFixed(1)} s: RSS grew by ${grown.toFixed(0)} MiB (goal ${GOALS.rssMib}), ` +
      `event loop p99 ${delay.toFixed(1)} ms (goal ${GOALS.loopDelayMs}); its operation told of progress ${seen} times`,
  );
  process.exitCode = grown < GOALS.rssMib && delay < GOALS.loopDelayMs ? 0 : 1;
} finally {
  await server.stop();
  files.close();
  files.closeAllConnections();
}
