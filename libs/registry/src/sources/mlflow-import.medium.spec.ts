import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import type { DomainError } from '@sibyl/kernel';
import type { ModelRegistry } from '../model-registry';
import { MlflowServer } from '../testing/mlflow-server';
import { packageFolder } from '../testing/package-folder';
import { ALICE, registryFixture, type RegistryFixture } from '../testing/registry-fixture';
import { S3Server } from '../testing/s3-server';
import { SourceOptions } from './source-options';

let at: RegistryFixture;
let mlflow: MlflowServer;
let models = 0;
beforeAll(async () => {
  at = await registryFixture();
});
afterAll(() => at.end());
beforeEach(async () => {
  mlflow = await MlflowServer.start();
});
afterEach(async () => {
  await mlflow.stop();
  expect(await readdir(path.join(at.options.artifactFolder, 'uploads'))).toEqual([]);
});

function withOptions(given: Partial<SourceOptions> = {}): ModelRegistry {
  const quick = { mlflowUri: mlflow.http.url, retryMs: 1, attempts: 2, stallMs: 100 };
  return at.another({}, { sourceOptions: Object.assign(new SourceOptions(), quick, given) });
}

/** Files of a package that says nothing of its version. */
async function files(): Promise<Record<string, Buffer>> {
  const folder = await packageFolder({ manifest: { name: `i${++models}`, version: undefined } });
  const names = await readdir(folder);
  return Object.fromEntries(
    await Promise.all(names.map(async (name) => [name, await readFile(path.join(folder, name))] as const)),
  );
}

describe('an import from MLflow', () => {
  const importing = (own = withOptions(), uri = 'models:/churn/1', expect_ = {}) =>
    own.importUri(ALICE, { uri, ...expect_ }, at.record);
  const failure = (promise: Promise<unknown>): Promise<DomainError> =>
    promise.then(
      () => Promise.reject(new Error('it was accepted')),
      (error: DomainError) => error,
    );

  it('sends credentials to MLflow, and to no place that it redirects to', async () => {
    mlflow.register('churn', 'None', await files());
    const other = await MlflowServer.start();
    const file = '/api/2.0/mlflow-artifacts/artifacts/churn/1/model.onnx';
    mlflow.http.handlers.set(
      file,
      (_request, response) => void response.writeHead(302, { location: `${other.http.url}/x` }).end(),
    );
    const own = withOptions({ mlflowUsername: 'u', mlflowPassword: 'p' });
    expect(await failure(importing(own))).toMatchObject({ code: 'invalid_parameter' });
    expect(other.http.requests).toEqual([]);
    expect(mlflow.http.requests[0]?.headers.authorization).toBe(`Basic ${Buffer.from('u:p').toString('base64')}`);
    await other.stop();
  });

  it.each(['../../etc/passwd', '/etc/passwd', 'a/../../b', '..%2fx', 'a\\..\\b', 'x\0y', 'C:/x', ''])(
    'refuses a listing with %j in it',
    async (name) => {
      mlflow.register('churn', 'None', await files());
      mlflow.listing = ['model.onnx', 'MLmodel', name].filter((entry) => entry !== '');
      if (name === '') mlflow.listing = ['model.onnx', 'x'.repeat(2000)];
      expect(await failure(importing())).toMatchObject({ code: 'model_rejected' });
    },
  );

  it('refuses 10,000 files, and versions that are not ready', async () => {
    mlflow.register('churn', 'None', await files());
    mlflow.listing = Array.from({ length: 10_000 }, (_, i) => `f${i}`);
    expect(await failure(importing())).toMatchObject({ code: 'model_rejected' });
    const [version] = mlflow.versions.get('churn') ?? [];
    if (version) version.status = 'PENDING_REGISTRATION';
    expect(await failure(importing())).toMatchObject({ code: 'invalid_parameter' });
  });

  it.each([
    ['no JSON', '<html>'],
    ['something else', '{"a": [1]}'],
    ['too much', `{"a": "${'x'.repeat(9_000_000)}"}`],
  ])('takes %s for no answer of MLflow', async (_what, body) => {
    mlflow.register('churn', 'None', await files());
    mlflow.http.handlers.set('/api/2.0/mlflow/model-versions/get', (_request, response) => void response.end(body));
    expect(await failure(importing())).toMatchObject({ code: 'source_unavailable' });
  });

  it('does not send credentials to another path of the host, which may be somebody else’s', async () => {
    mlflow.register('churn', 'None', await files());
    mlflow.http.prefix = '/team-a';
    const mlflowUri = `${mlflow.http.url}/team-a/`;
    const own = withOptions({ mlflowUri, mlflowToken: 'secret' });
    const file = '/api/2.0/mlflow-artifacts/artifacts/churn/1/model.onnx';
    const content = mlflow.http.files.get(file) ?? Buffer.alloc(0);
    mlflow.http.handlers.set('/team-b/model.onnx', (request, response) => mlflow.http.send(content, request, response));
    mlflow.http.handlers.set(
      file,
      (_request, response) => void response.writeHead(302, { location: '/team-b/model.onnx' }).end(),
    );
    expect((await importing(own)).created).toBe(true);
    const sent = mlflow.http.requests.map(({ path: to, headers }) => [to, headers.authorization] as const);
    expect(sent.filter(([to]) => to.startsWith('/team-b/'))).toEqual([['/team-b/model.onnx', undefined]]);
    expect(sent.filter(([to]) => !to.startsWith('/team-b/')).every(([, header]) => header === 'Bearer secret')).toBe(
      true,
    );
  });

  it('reads S3 with our credentials only where the configured server says so', async () => {
    mlflow.register('churn', 'None', await files());
    const bucket = await S3Server.start();
    try {
      mlflow.http.handlers.set(
        '/api/2.0/mlflow/model-versions/get-download-uri',
        (_request, response) => void response.end(`{"artifact_uri": "s3://${bucket.bucket}/secrets"}`),
      );
      mlflow.http.handlers.set(
        '/api/2.0/mlflow/runs/get',
        (_request, response) => void response.end(`{"run": {"info": {"artifact_uri": "s3://${bucket.bucket}"}}}`),
      );
      mlflow.http.handlers.set(
        '/api/2.0/mlflow/artifacts/list',
        (_request, response) => void response.end('{"files": [{"path": "secrets/model.onnx"}]}'),
      );
      const s3 = { s3Endpoint: bucket.url, s3AccessKeyId: 'id', s3SecretAccessKey: 'secret' };
      const elsewhere = withOptions({ ...s3, mlflowUri: 'http://127.0.0.1:1', hosts: [mlflow.http.host] });
      const { policy } = await elsewhere.policies.of(undefined, 'follower');
      const sync = { registryUri: mlflow.http.url, name: 'churn', stages: ['None'], fallback: [], ttlSeconds: 60 };
      const set = { model: 'follower', policy: { ...policy, sync }, reason: 'a test', ifNoneMatch: '*' };
      await elsewhere.setPolicy(ALICE, set, at.record);
      const results: string[] = [];
      await elsewhere
        .mlflowSync({
          record: at.record,
          log: { info: () => undefined, warn: () => undefined },
          promote: () => Promise.reject(new Error('nothing to promote')),
          onResult: (_, result) => void results.push(result),
        })
        .tick();
      expect(results).toEqual(['refused']);
      expect(bucket.calls).toEqual([]);
      await failure(importing(withOptions(s3)));
      expect(bucket.calls.length).toBeGreaterThan(0);
    } finally {
      await bucket.stop();
    }
  });

  it.each(['mlflow-artifacts:/../../../admin', 'mlflow-artifacts:/a/../b', 'mlflow-artifacts://host/a/./b'])(
    'does not follow %s out of the artifacts',
    async (artifactUri) => {
      mlflow.register('churn', 'None', await files());
      mlflow.http.handlers.set(
        '/api/2.0/mlflow/model-versions/get-download-uri',
        (_request, response) => void response.end(JSON.stringify({ artifact_uri: artifactUri })),
      );
      mlflow.listing = ['model.onnx'];
      const before = mlflow.http.requests.length;
      expect(await failure(importing())).toMatchObject({ faults: [{ expected: 'a path without . and ..' }] });
      const asked = mlflow.http.requests.slice(before).map(({ path: to }) => to);
      expect(asked.filter((to) => !to.startsWith('/api/2.0/mlflow/') && !to.endsWith('/artifacts'))).toEqual([]);
    },
  );

  it('is told when the answer is about another model', async () => {
    const content = await files();
    mlflow.register('churn', 'None', content);
    mlflow.register('other', 'None', content);
    mlflow.http.handlers.set(
      '/api/2.0/mlflow/model-versions/get',
      (_request, response) =>
        void response.end('{"model_version": {"name": "other", "version": "1", "status": "READY"}}'),
    );
    expect(await failure(importing())).toMatchObject({ code: 'source_unavailable' });
  });

  it('is not held up by a description that drips, nor by one that never ends', async () => {
    const mlmodel = Buffer.from('flavors:\n  onnx:\n    data: model.onnx\n');
    mlflow.register('churn', 'None', { ...(await files()), MLmodel: mlmodel });
    const file = '/api/2.0/mlflow-artifacts/artifacts/churn/1/MLmodel';
    const drip = (bytes: number, everyMs: number): void =>
      void mlflow.http.handlers.set(file, (_request, response) => {
        response.writeHead(200);
        const timer = setInterval(() => response.write(Buffer.alloc(bytes, ' ')), everyMs);
        response.once('close', () => clearInterval(timer));
      });
    drip(1, 10);
    expect(await failure(importing())).toMatchObject({ code: 'source_unavailable' });
    drip(100_000, 1);
    expect(await failure(importing())).toMatchObject({ code: 'model_rejected', faults: [{ pointer: '/MLmodel' }] });
    mlflow.http.handlers.delete(file);
    const { version } = await importing();
    expect(version.files.map(({ path: name }) => name)).not.toContain('MLmodel');
    expect(version.report?.ignoredFiles).toEqual([]);
  });
});
