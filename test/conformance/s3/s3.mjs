// node test/conformance/s3/s3.mjs: imports from a real S3 server (versitygw, an S3 interface over a folder). Made by setup.sh.
import fs from 'node:fs';
import path from 'node:path';
import { randomBytes } from 'node:crypto';
import { CreateBucketCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { freePort, REPOSITORY, startServer } from '../../support/server.mjs';
import { Checks, needed, startPeer, temporaryFolder } from '../peer.mjs';

const PROGRAM = needed(path.join(REPOSITORY, '.conformance/s3/versitygw'), 'sh test/conformance/s3/setup.sh');
const CREDENTIALS = { accessKeyId: 'sibyl-conformance', secretAccessKey: 'a-secret-of-this-run-only' };
const BUCKET = 'models';
/** Longer than one range of the import. */
const LARGE_BYTES = 70 * 1024 * 1024;

async function fill(endpoint) {
  const s3 = new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true, credentials: CREDENTIALS });
  await s3.send(new CreateBucketCommand({ Bucket: BUCKET }));
  const put = (Key, Body) => s3.send(new PutObjectCommand({ Bucket: BUCKET, Key, Body }));
  const folder = path.join(REPOSITORY, 'examples/models/momentum-1.2.3');
  for (const name of fs.readdirSync(folder))
    await put(`momentum/1.2.3/${name}`, fs.readFileSync(path.join(folder, name)));
  const model = fs.readFileSync(path.join(folder, 'model.onnx'));
  await put('bare/churn.onnx', model);
  await put('bare/notes.txt', 'x');
  const manifest = JSON.stringify({ name: 'large', version: '1.0.0', files: ['weights.bin', 'empty.bin'] });
  await put('large/sibyl.json', manifest);
  await put('large/model.onnx', model);
  await put('large/weights.bin', randomBytes(LARGE_BYTES));
  await put('large/empty.bin', '');
  s3.destroy();
}

const folder = temporaryFolder('s3');
const checks = new Checks();
const port = await freePort();
const endpoint = `http://127.0.0.1:${port}`;
fs.mkdirSync(path.join(folder, 'objects'));
const env = { ROOT_ACCESS_KEY: CREDENTIALS.accessKeyId, ROOT_SECRET_KEY: CREDENTIALS.secretAccessKey };
const gateway = await startPeer(
  PROGRAM,
  ['--quiet', '--port', `127.0.0.1:${port}`, 'posix', path.join(folder, 'objects')],
  {
    port,
    env,
    cwd: folder,
  },
);
await fill(endpoint);
const settings = {
  SIBYL_MODELS: `s3://${BUCKET}/momentum/1.2.3`,
  AWS_ENDPOINT_URL_S3: endpoint,
  AWS_ACCESS_KEY_ID: CREDENTIALS.accessKeyId,
  AWS_SECRET_ACCESS_KEY: CREDENTIALS.secretAccessKey,
};
const server = await startServer({ env: settings });
try {
  const predicted = await server.call('POST', '/predict', {
    body: { features: { price: 45000, volume: 1e6, rsi: 65.5 }, model: 'momentum' },
  });
  checks.check('SIBYL_MODELS from a prefix serves', predicted.status === 200, JSON.stringify(predicted.body));
  const known = await checks.imports(
    server,
    'momentum',
    { source_uri: `s3://${BUCKET}/momentum/1.2.3/sibyl.json` },
    200,
    'the same bytes by the URI of the manifest: the same version',
  );
  checks.check(
    'the version says where it came from',
    known.source?.uri === settings.SIBYL_MODELS,
    JSON.stringify(known.source),
  );
  const bare = await checks.imports(
    server,
    'churn',
    { source_uri: `s3://${BUCKET}/bare/churn.onnx`, version: '1' },
    201,
    'a bare .onnx',
  );
  checks.check('its ETag is kept', /^"[0-9a-f]+"$/.test(bare.source?.etag ?? ''), JSON.stringify(bare.source));
  await checks.imports(
    server,
    'churn2',
    { source_uri: `s3://${BUCKET}/bare/`, version: '1' },
    201,
    'a prefix with one .onnx file',
  );
  const large = await checks.imports(
    server,
    'large',
    { source_uri: `s3://${BUCKET}/large` },
    201,
    'an object longer than one range, and an empty one',
  );
  const sizes = Object.fromEntries((large.files ?? []).map(({ path: name, bytes }) => [name, bytes]));
  checks.check(
    'both have their sizes',
    sizes['weights.bin'] === LARGE_BYTES && sizes['empty.bin'] === 0,
    JSON.stringify(sizes),
  );
  await checks.imports(
    server,
    'x',
    { source_uri: `s3://${BUCKET}/nothing`, version: '1' },
    422,
    'a prefix without objects is refused',
  );
  await checks.imports(
    server,
    'x',
    { source_uri: 's3://nobodys/x', version: '1' },
    400,
    'a bucket that is not there is refused',
  );
  await gateway.stop();
  const gone = await checks.imports(
    server,
    'x',
    { source_uri: `s3://${BUCKET}/bare/churn.onnx`, version: '2' },
    503,
    'a server that is down is source_unavailable',
  );
  checks.check('by its code', gone.code === 'source_unavailable', gone.code);
  const left = fs.readdirSync(path.join(server.dataDir, 'artifacts/uploads'));
  checks.check('nothing is left of what failed', left.length === 0, left.join());
} finally {
  await server.stop();
  await gateway.stop();
  fs.rmSync(folder, { recursive: true, force: true });
}
checks.finish();
