// node test/conformance/s3/store.mjs: packages kept in a real S3 server (versitygw), which is stopped and whose client is killed. Made by setup.sh.
import fs from 'node:fs';
import path from 'node:path';
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { CreateBucketCommand, ListMultipartUploadsCommand, ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3';
import { freePort, REPOSITORY, startServer } from '../../support/server.mjs';
import { Checks, needed, startPeer, temporaryFolder } from '../peer.mjs';

const PROGRAM = needed(path.join(REPOSITORY, '.conformance/s3/versitygw'), 'sh test/conformance/s3/setup.sh');
const CREDENTIALS = { accessKeyId: 'sibyl-conformance', secretAccessKey: 'a-secret-of-this-run-only' };
const BUCKET = 'packages';
const EXAMPLE = path.join(REPOSITORY, 'examples/models/momentum-1.2.3');
/** Parts enough to be killed among them. */
const LARGE_BYTES = 400 * 1024 * 1024;

const folder = temporaryFolder('s3-store');
const checks = new Checks();
const port = await freePort();
const endpoint = `http://127.0.0.1:${port}`;
const s3 = new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true, credentials: CREDENTIALS });
const startGateway = () =>
  startPeer(PROGRAM, ['--quiet', '--port', `127.0.0.1:${port}`, 'posix', path.join(folder, 'objects')], {
    port,
    env: { ROOT_ACCESS_KEY: CREDENTIALS.accessKeyId, ROOT_SECRET_KEY: CREDENTIALS.secretAccessKey },
    cwd: folder,
  });

/** Keys of a package, without what is common to them. */
async function keysOf(digest) {
  const prefix = `of/tests/packages/${digest.slice('sha256:'.length)}`;
  const { Contents = [] } = await s3.send(new ListObjectsV2Command({ Bucket: BUCKET, Prefix: prefix }));
  return Contents.map(({ Key }) => Key.slice(prefix.length)).sort();
}

/** A package in the folder that imports may read; other bytes each time. */
function packageOf(dataDir, name, extra = {}) {
  const place = path.join(dataDir, 'import', name);
  fs.mkdirSync(place, { recursive: true });
  fs.copyFileSync(path.join(EXAMPLE, 'model.onnx'), path.join(place, 'model.onnx'));
  const files = Object.keys(extra);
  fs.writeFileSync(path.join(place, 'sibyl.json'), JSON.stringify({ name, version: '1.0.0', files }));
  for (const [file, bytes] of Object.entries(extra)) fs.writeFileSync(path.join(place, file), bytes);
  return { source_uri: `file://${place}` };
}

const predicts = async (server) => {
  const body = { features: { price: 45000, volume: 1e6, rsi: 65.5 }, model: 'momentum' };
  const answer = await server.call('POST', '/predict', { body });
  return answer.status === 200 ? '' : `${answer.status} ${JSON.stringify(answer.body)}`;
};

async function servesFromTheBucket(server) {
  const { body } = await server.call('GET', '/v1/models/momentum/versions/1.2.3');
  const keys = await keysOf(body.digest);
  checks.check('what starts with the server is in the bucket, with its list', keys.includes('.json'), keys.join());
  checks.check(
    'every file of it',
    body.files.every(({ path: name }) => keys.includes(`/${name}`)),
    keys.join(),
  );
  const packages = path.join(server.dataDir, 'artifacts/packages');
  const own = path.join(packages, body.digest.slice('sha256:'.length), 'model.onnx');
  const bytes = fs.readFileSync(own);
  fs.rmSync(packages, { recursive: true });
  fs.mkdirSync(packages, { mode: 0o700 });
  const reload = await server.call('POST', '/health/model/reload', { body: { model: 'momentum' } });
  checks.check(
    'a package that is gone here is loaded again',
    reload.status === 200 && fs.existsSync(own),
    JSON.stringify(reload.body),
  );
  const damaged = Buffer.from(bytes);
  damaged[100] ^= 1;
  fs.chmodSync(own, 0o600);
  fs.writeFileSync(own, damaged);
  const looked = await server.call('POST', '/health/artifacts/check', { body: {}, timeoutMs: 60_000 });
  checks.check(
    'a package that is damaged here is mended by a look at it',
    looked.status === 200 && fs.readFileSync(own).equals(bytes),
    JSON.stringify(looked.body).slice(0, 500),
  );
  checks.check(
    'and what was missing here has come',
    fs.readdirSync(packages).length > 1,
    fs.readdirSync(packages).join(),
  );
  await server.terminate();
  fs.rmSync(packages, { recursive: true });
  await (await server.launch()).ready();
  for (let i = 0; i < 50 && (await predicts(server)) !== ''; i++) await sleep(200);
  checks.check(
    'a start with nothing here serves from the bucket',
    (await predicts(server)) === '',
    await predicts(server),
  );
}

async function bucketAway(server, gateway) {
  await gateway.stop();
  checks.check('without the bucket, what serves goes on', (await predicts(server)) === '', await predicts(server));
  const package_ = packageOf(server.dataDir, 'away', { 'notes.bin': 'x' });
  const refused = await checks.imports(server, 'away', package_, 503, 'a registration is refused');
  checks.check('by its code', refused.code === 'source_unavailable', refused.code);
  const { body } = await server.call('GET', '/v1/models/away/versions/1.0.0');
  checks.check('and the version is not valid', body.status === 'registered', JSON.stringify(body).slice(0, 300));
  await server.terminate();
  await (await server.launch()).ready();
  for (let i = 0; i < 50 && (await predicts(server)) !== ''; i++) await sleep(200);
  checks.check(
    'a start without the bucket serves what is here',
    (await predicts(server)) === '',
    await predicts(server),
  );
  const again = await startGateway();
  const done = await checks.imports(server, 'away', package_, 201, 'with the bucket, the same bytes complete it');
  checks.check('they are there', (await keysOf(done.digest)).join() === '.json,/model.onnx,/notes.bin,/sibyl.json');
  const gone = await server.call('DELETE', '/v1/models/away/versions/1.0.0', { body: { reason: 'never used' } });
  checks.check('a deletion', gone.status === 200, `${gone.status} ${JSON.stringify(gone.body)}`);
  checks.check('removes them from the bucket', (await keysOf(done.digest)).length === 0);
  return again;
}

async function killedWhileSending(server) {
  const weights = randomBytes(LARGE_BYTES);
  const package_ = packageOf(server.dataDir, 'large', { 'weights.bin': weights });
  const call = server
    .call('POST', '/v1/models/large/versions', { body: package_, timeoutMs: 60_000 })
    .catch(() => 'killed');
  const uploads = async () => (await s3.send(new ListMultipartUploadsCommand({ Bucket: BUCKET }))).Uploads ?? [];
  let begun = [];
  for (let i = 0; i < 3000 && begun.length === 0; i++) {
    begun = await uploads();
    await sleep(10);
  }
  await server.kill9();
  checks.check('killed in the middle of a file', begun.length === 1 && (await call) === 'killed');
  await (await server.launch()).ready();
  const { body } = await server.call('GET', '/v1/models/large/versions/1.0.0');
  checks.check('the version is not valid', body.status === 'registered', JSON.stringify(body).slice(0, 300));
  const keys = await keysOf(body.digest);
  checks.check('and the package is not in the bucket', !keys.includes('.json'), keys.join());
  const done = await checks.imports(server, 'large', package_, 201, 'the same bytes complete it');
  checks.check(
    'all of it is there',
    (await keysOf(done.digest)).join() === '.json,/model.onnx,/sibyl.json,/weights.bin',
  );
  const own = path.join(server.dataDir, 'artifacts/packages', done.digest.slice('sha256:'.length));
  fs.rmSync(own, { recursive: true });
  const looked = await server.call('POST', '/health/artifacts/check', { body: { model: 'large' }, timeoutMs: 60_000 });
  const came = fs.existsSync(own) && fs.readFileSync(path.join(own, 'weights.bin')).equals(weights);
  checks.check('and comes back whole', looked.status === 200 && came, JSON.stringify(looked.body));
}

fs.mkdirSync(path.join(folder, 'objects'));
let gateway = await startGateway();
await s3.send(new CreateBucketCommand({ Bucket: BUCKET }));
const settings = {
  AWS_S3_BUCKET: BUCKET,
  SIBYL_ARTIFACT_PREFIX: 'of/tests',
  AWS_ENDPOINT_URL_S3: endpoint,
  AWS_ACCESS_KEY_ID: CREDENTIALS.accessKeyId,
  AWS_SECRET_ACCESS_KEY: CREDENTIALS.secretAccessKey,
};
const server = await startServer({ env: settings });
try {
  await servesFromTheBucket(server);
  gateway = await bucketAway(server, gateway);
  await killedWhileSending(server);
} finally {
  await server.stop();
  await gateway.stop();
  s3.destroy();
  fs.rmSync(folder, { recursive: true, force: true });
}
checks.finish();
