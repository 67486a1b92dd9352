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
async function keysOf(digest, place = 'of/tests') {
  const prefix = `${place}/packages/${digest.slice('sha256:'.length)}`;
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

/** Two workers on one folder and one bucket, each with tables and runners of its own. */
async function severalWorkers() {
  const models = Array.from({ length: 6 }, (_, i) => `shared-${i}`);
  const env = { ...settings, SIBYL_WORKERS: '2', SIBYL_ARTIFACT_PREFIX: 'of/workers' };
  // Room for the example and little more: what nobody uses has to go.
  const server = await startServer({
    env: { ...env, SIBYL_ARTIFACT_COPY_BYTES: '400000', SIBYL_MODEL_IDLE_SECONDS: '1' },
  });
  try {
    const body = (name, i) => packageOf(server.dataDir, name, { 'notes.bin': Buffer.alloc(100_000, String(i)) });
    const register = (name, i) =>
      server.call('POST', `/v1/models/${name}/versions`, { body: body(name, i), timeoutMs: 60_000 });
    const registered = await Promise.all(models.map(register));
    const statuses = registered.map(({ status }) => status).join();
    checks.check('two workers register six versions at once', /^(201,?){6}$/.test(statuses), statuses);
    const artifacts = path.join(server.dataDir, 'artifacts');
    const packages = path.join(artifacts, 'packages');
    const digests = registered.map((answer) => answer.body.digest);
    for (const digest of digests)
      checks.check('each with its list', (await keysOf(digest, 'of/workers')).includes('.json'));
    for (const name of models) await server.call('DELETE', `/v1/models/${name}/1.0.0`);
    fs.rmSync(packages, { recursive: true });
    fs.mkdirSync(packages, { mode: 0o700 });
    // Each connection may be dealt to either worker, so that both fetch the same packages at once.
    const ask = (name) =>
      server.call('POST', `/v1/models/${name}/predict`, {
        headers: { connection: 'close' },
        body: { inputs: { features: [[45000, 1e6, 65.5, 0]] } },
        timeoutMs: 60_000,
      });
    const answers = await Promise.all(Array.from({ length: 36 }, (_, i) => ask(models[i % models.length])));
    const failed = answers.filter(({ status }) => status !== 200);
    checks.check(
      'packages that are gone here serve from both',
      failed.length === 0,
      JSON.stringify(failed[0]?.body ?? ''),
    );
    const left = ['staging', 'uploads'].flatMap((name) => fs.readdirSync(path.join(artifacts, name)));
    checks.check('and leave nothing unfinished', left.length === 0, left.join());
    await evicts(server, packages, { digests, models, ask });
    const gone = await Promise.all(
      models.map((name) => server.call('DELETE', `/v1/models/${name}/versions/1.0.0`, { body: { reason: 'the end' } })),
    );
    const kept = gone.map(({ status }) => status).join();
    checks.check('what has answered of late stays', /^(409,?){6}$/.test(kept), kept);
  } finally {
    await server.stop();
  }
}

/** What no worker has loaded and nobody has used for long goes from the disk when another package comes, and comes back. */
async function evicts(server, packages, { digests, models, ask }) {
  const folderOf = (digest) => path.join(packages, digest.slice('sha256:'.length));
  for (const name of models) await server.call('DELETE', `/v1/models/${name}/1.0.0`);
  const longAgo = new Date(Date.now() - 3_600_000);
  for (const digest of digests) if (fs.existsSync(folderOf(digest))) fs.utimesSync(folderOf(digest), longAgo, longAgo);
  const before = digests.filter((digest) => fs.existsSync(folderOf(digest))).length;
  const body = packageOf(server.dataDir, 'another', { 'notes.bin': Buffer.alloc(100_000, 'x') });
  await checks.imports(server, 'another', body, 201, 'another version comes');
  const after = digests.filter((digest) => fs.existsSync(folderOf(digest))).length;
  checks.check('past the limit copies go', before > 3 && after < before, `${before}, then ${after}`);
  const answers = await Promise.all([...models, ...models].map((name) => ask(name)));
  const failed = answers.filter(({ status }) => status !== 200);
  checks.check('and come back when they are asked for', failed.length === 0, JSON.stringify(failed[0]?.body ?? ''));
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
  await severalWorkers();
} finally {
  await server.stop();
  await gateway.stop();
  s3.destroy();
  fs.rmSync(folder, { recursive: true, force: true });
}
checks.finish();
