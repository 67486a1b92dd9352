// Versions of one model whose answer is the number of the version, so that an answer that mixes two of them shows.
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
require('../support/load-typescript.cjs');
const { linearModel } = require('@sibyl/onnx/testing');

export const MODEL = 'steps';
export const BODY = JSON.stringify({ features: { features: 0 } });

/** Uploads one version; answers what the server answered. */
export function upload(server, version, { manifest = {}, timeoutMs = 60_000 } = {}) {
  const form = new FormData();
  form.append('f', new Blob([linearModel({ weights: [[0]], bias: [Number(version)] })]), 'model.onnx');
  const document = { name: MODEL, version: String(version), task: 'regression', ...manifest };
  form.append('f', new Blob([JSON.stringify(document)]), 'sibyl.json');
  return fetch(`${server.url}/v1/models/${document.name}/versions`, {
    method: 'POST',
    headers: { 'x-api-key': server.adminKey },
    body: form,
    signal: AbortSignal.timeout(timeoutMs),
  }).then(async (answer) => ({ status: answer.status, body: await answer.json() }));
}

const ALIAS = `/v1/models/${MODEL}/aliases/production`;

/** Points `production` at a version; without an ETag it is made. */
export function promote(server, version, etag, reason = 'a drill') {
  const headers = etag === undefined ? { 'if-none-match': '*' } : { 'if-match': etag };
  return server.call('PUT', ALIAS, { headers, body: { version: String(version), reason } });
}

export function rollback(server, etag, reason = 'a drill') {
  return server.call('POST', `${ALIAS}/rollback`, { headers: { 'if-match': etag }, body: { reason } });
}

export function production(server) {
  return server.call('GET', ALIAS);
}
