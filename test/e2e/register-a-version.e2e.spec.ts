import { once } from 'node:events';
import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import path from 'node:path';
import {
  centredModel,
  customDomainModel,
  endlessModel,
  externalDataModel,
  hugeDimensionsModel,
  hugeOutputModel,
  linearModel,
  loopModel,
  nestedIfModel,
} from '@sibyl/onnx/testing';
import {
  BOUNDARY,
  examplePackage,
  json,
  modelPackage,
  MULTIPART,
  multipart,
  partsOf,
  writePackage,
  type PackageFiles,
} from '../support/model-packages';
import { RecordedClient } from '../support/recorded-client';
import { startServer, type TestServer } from '../support/server.mjs';

const LIMIT_BYTES = 4 * 1024 * 1024;
const FILES = 40;
const LINEAR = linearModel({ weights: [[2, 3]], bias: [1] });

describe('registering a version', () => {
  let server: TestServer;
  let client: RecordedClient;

  beforeAll(async () => {
    server = await startServer({
      env: {
        SIBYL_MODELS: ['momentum-1.2.3', 'momentum-1.3.0']
          .map((name) => path.join(__dirname, '../../examples/models', name))
          .join(','),
        SIBYL_VALIDATION_SECONDS: '6',
        SIBYL_TRIAL_MEMORY_MIB: '400',
        SIBYL_ARTIFACT_BYTES: String(LIMIT_BYTES),
        SIBYL_PACKAGE_FILES: String(FILES),
      },
    });
    client = new RecordedClient(server, 'register');
  }, 90_000);
  afterAll(() => server.stop(), 30_000);

  /** Everything that lies in the store, as paths. */
  const stored = (): string[] =>
    (fs.readdirSync(path.join(server.dataDir, 'artifacts'), { recursive: true }) as string[]).sort();

  /** A linear model of two features under a name of its own. */
  const linear = (name: string, version = '1.0.0', more: object = {}): PackageFiles =>
    modelPackage(LINEAR, { name, version, ...more });

  const predictLinear = (name: string, version: string): ReturnType<RecordedClient['post']> =>
    client.post(`/models/${name}/predict`, { inputs: { features: [[10, 100]] }, model_version: version });

  describe('a whole package', () => {
    const files = examplePackage('breast_cancer-1.0.0', {
      name: 'tumour',
      version: '4.0.0-rc.1+x',
      custom: { kept: 1 },
    });
    const mean = { mean_radius: 12, worst_radius: 14 };

    it('becomes a validated version: 201, with Location, ETag, all facts and its event', async () => {
      const reply = await client.upload('tumour', files);
      expect(reply).toMatchObject({
        status: 201,
        body: {
          name: 'tumour',
          version: '4.0.0-rc.1+x',
          status: 'validated',
          aliases: [],
          accuracy: 0.979,
          manifest: { custom: { kept: 1 } },
          report: { passed: true, golden: { miss_count: 0 } },
          digest: expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
        },
      });
      expect(reply.body.files.map(({ path: file }: { path: string }) => file).sort()).toEqual([
        'golden.json',
        'model.onnx',
        'sibyl.json',
      ]);
      const event = await client.lastEvent();
      expect(event).toMatchObject({
        action: 'model.register',
        outcome: 'succeeded',
        status: 201,
        model: { name: 'tumour', version: '4.0.0-rc.1+x', digest: reply.body.digest },
      });
      const found = await client.get(reply.headers.get('location') ?? '');
      expect(found).toMatchObject({ status: 200, body: reply.body });
      expect(found.headers.get('etag')).toBe(reply.headers.get('etag'));
      expect(found.headers.get('etag')).toMatch(/^"[^"]+"$/);
    });

    it('registered again is the same version: 200, whatever the fields and the order of the parts were', async () => {
      const parts = partsOf(files)
        .reverse()
        .map((part, i) => ({ ...part, field: `other-${i}` }));
      const again = await client.uploadParts('tumour', parts);
      expect(again).toMatchObject({ status: 200, body: { version: '4.0.0-rc.1+x', status: 'validated' } });
    });

    it('can be asked for at once, by version and as latest', async () => {
      const columns = (JSON.parse(String(files.get('sibyl.json'))) as { features: { name: string }[] }).features;
      const features = { ...Object.fromEntries(columns.map(({ name }) => [name, 1])), ...mean };
      for (const version of ['4.0.0-rc.1+x', 'v4.0.0-rc.1+x', 'latest', undefined]) {
        const { status, body } = await client.post('/models/tumour/predict', {
          features,
          ...(version === undefined ? {} : { model_version: version }),
        });
        expect([version, status, body.model_info?.version]).toEqual([version, 200, '4.0.0-rc.1+x']);
      }
    });

    it('with other bytes under its version is 409 and changes nothing', async () => {
      const before = stored();
      const other = new Map(files).set('sibyl.json', json({ name: 'tumour', version: '4.0.0-rc.1+x', other: true }));
      expect(await client.upload('tumour', other)).toMatchObject({ status: 409, body: { code: 'version_conflict' } });
      expect(stored()).toEqual(before);
    });

    it('of another model, or with another version in the form, is 422 that says where', async () => {
      const model = await client.upload('somebody', files);
      expect(model).toMatchObject({ status: 422, body: { code: 'manifest_mismatch' } });
      expect(model.body.errors[0]).toMatchObject({ pointer: expect.stringContaining('name') });
      const version = await client.upload('tumour', files, { version: '9.9.9' });
      expect(version).toMatchObject({ status: 422, body: { code: 'manifest_mismatch' } });
      expect((await client.get('/models/somebody/versions')).status).toBe(404);
    });

    it('may be sent with the version that its manifest has', async () => {
      expect((await client.upload('tumour', files, { version: '4.0.0-rc.1+x' })).status).toBe(200);
    });
  });

  describe('other shapes of packages', () => {
    it('a bare .onnx with a version field is a model of its own', async () => {
      const reply = await client.upload('bare', new Map([['whatever.onnx', LINEAR]]), { version: '7' });
      expect(reply).toMatchObject({
        status: 201,
        body: {
          name: 'bare',
          version: '7',
          signature: { inputs: [{ name: 'features', datatype: 'FP32', shape: [-1, 2] }] },
        },
      });
      expect(await predictLinear('bare', '7')).toMatchObject({ status: 200, body: { outputs: { variable: [[321]] } } });
    });

    it('a bare .onnx without a version is 4xx that asks for it', async () => {
      const reply = await client.upload('bare', new Map([['model.onnx', LINEAR]]));
      expect([400, 422]).toContain(reply.status);
      expect(JSON.stringify(reply.body)).toContain('version');
    });

    it('nested files that the manifest names are kept, others are left out and listed', async () => {
      const files = new Map([
        ...linear('nested', '1.0.0', { files: ['notes/why.txt'] }),
        ['notes/why.txt', Buffer.from('because')] as const,
        ['other/x.txt', Buffer.from('left out')] as const,
      ]);
      const { status, body } = await client.upload('nested', files);
      expect(status).toBe(201);
      expect(body.files.map(({ path: file }: { path: string }) => file)).toContain('notes/why.txt');
      expect(JSON.stringify(body.files)).not.toContain('other/x.txt');
      expect(JSON.stringify(body.report.ignored_files)).toContain('other');
    });

    it('external data beside the model belongs to it', async () => {
      const weights = Buffer.from(new Float32Array([5, 7]).buffer);
      const files = modelPackage(
        externalDataModel({ location: 'weights.bin' }),
        { name: 'outside', version: '1' },
        { 'weights.bin': weights },
      );
      expect((await client.upload('outside', files)).status).toBe(201);
      const reply = await client.post('/models/outside/predict', { inputs: { x: [1, 1] }, model_version: '1' });
      expect(reply).toMatchObject({ status: 200, body: { outputs: { y: [6, 8] } } });
    });

    it('a file that is empty is no package: 4xx', async () => {
      expect(await client.uploadParts('none', [])).toMatchObject({ status: 400, body: { code: 'invalid_parameter' } });
      expect(await client.upload('none', new Map(), { version: '1' })).toMatchObject({ status: 400 });
      expect(
        await client.upload('none', new Map([['sibyl.json', json({ name: 'none', version: '1' })]])),
      ).toMatchObject({
        status: 422,
        body: { code: 'model_rejected' },
      });
    });

    it.each(['latest', 'production', 'a b', 'x'.repeat(65), '../1', ''])('%j is no version', async (version) => {
      const reply = await client.upload('bare', new Map([['model.onnx', LINEAR]]), { version });
      expect([400, 422]).toContain(reply.status);
    });

    it.each(['..%2fx', '%00', 'a%20b', 'x'.repeat(200), '.hidden'])('%s is no name of a model', async (name) => {
      const reply = await client.upload(name, new Map([['model.onnx', LINEAR]]), { version: '1' });
      expect([400, 404, 422]).toContain(reply.status);
    });

    it('a manifest that is no JSON, or of wrong types, is refused with pointers', async () => {
      const broken = new Map([...linear('broken'), ['sibyl.json', Buffer.from('{"name":')]]) as PackageFiles;
      expect((await client.upload('broken', broken)).status).toBe(422);
      const wrong = await client.upload(
        'broken',
        linear('broken', '1', { classes: 7, metrics: 'good', features: [{}] }),
      );
      expect(wrong.status).toBe(422);
      expect(wrong.body.errors.length).toBeGreaterThan(2);
    });
  });

  describe('a model that the scan refuses', () => {
    const momentum = fs.readFileSync(path.join(__dirname, '../../examples/models/momentum-1.2.3/model.onnx'));
    const hostile: readonly (readonly [string, Buffer])[] = [
      ['garbage', Buffer.from('\x93garbage that nobody can read, '.repeat(50))],
      ['truncated', momentum.subarray(0, 50_000)],
      ['empty', Buffer.alloc(0)],
      [
        'a pickle',
        Buffer.from(
          '\x80\x04\x95\x1f\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94\x8c\x06system\x94\x93\x94.',
          'latin1',
        ),
      ],
      ['a ZIP archive', Buffer.from('PK\x03\x04\x14\x00\x00\x00\x08\x00and so on', 'latin1')],
      ['HTML', Buffer.from('<!doctype html><title>404</title>')],
      ['of a custom domain', customDomainModel()],
      ['with external data above the package', externalDataModel({ location: '../../admin-key' })],
      ['with external data at an absolute path', externalDataModel({ location: '/etc/passwd' })],
      ['with external data that is not there', externalDataModel({ location: 'absent.bin' })],
      ['of absurd dimensions', hugeDimensionsModel([2n ** 40n, 2n ** 20n])],
      ['of absurd depth', nestedIfModel(40)],
    ];

    it.each(hostile)('%s: 422 with the reason, nothing kept but the event', async (what, model) => {
      const before = stored();
      const reply = await client.upload('hostile', modelPackage(model, { name: 'hostile', version: '1' }));
      expect([what, reply.status, reply.body.code]).toEqual([what, 422, 'model_rejected']);
      expect(reply.body.errors.length).toBeGreaterThan(0);
      expect(JSON.stringify(reply.body)).not.toContain(server.dataDir);
      expect(stored()).toEqual(before);
      expect(await client.lastEvent()).toMatchObject({ action: 'model.register', outcome: 'failed', status: 422 });
      expect((await client.get('/v1/models/hostile/versions/1')).status).toBe(404);
    });
  });

  describe('a model that fails its validation', () => {
    const wrong = {
      source: 'a test',
      tolerance: { rtol: 0, atol: 1e-3 },
      samples: [{ inputs: { features: [[1, 1]] }, outputs: { variable: [[7]] } }],
    };
    const right = { ...wrong, samples: [{ inputs: { features: [[1, 1]] }, outputs: { variable: [[6]] } }] };
    const withGolden = (name: string, golden: object): PackageFiles =>
      new Map([...linear(name), ['golden.json', json(golden)]]);

    it('because of its golden samples is kept as rejected, with a report', async () => {
      const reply = await client.upload('untrue', withGolden('untrue', wrong));
      expect(reply).toMatchObject({ status: 422, body: { code: 'model_rejected' } });
      expect(await client.lastEvent()).toMatchObject({
        outcome: 'failed',
        status: 422,
        model: { name: 'untrue', version: '1.0.0' },
      });
      const kept = await client.get('/v1/models/untrue/versions/1.0.0');
      expect(kept).toMatchObject({
        status: 200,
        body: {
          status: 'rejected',
          report: {
            passed: false,
            golden: { miss_count: 1, misses: [{ tensor: 'variable', expected: '7', got: '6' }] },
          },
        },
      });
    });

    it('is never promoted, loaded, approved or asked', async () => {
      const put = await client.promote('untrue', 'production', '1.0.0');
      expect(put).toMatchObject({ status: 409, body: { code: 'version_not_servable' } });
      const load = await client.post('/v1/models/load', { model_id: 'untrue', version: '1.0.0' });
      expect(load).toMatchObject({ status: 409, body: { code: 'version_not_servable' } });
      const approve = await client.post('/v1/models/untrue/versions/1.0.0/approve', { reason: 'please' });
      expect(approve).toMatchObject({ status: 409, body: { code: 'version_not_servable' } });
      expect((await predictLinear('untrue', '1.0.0')).status).toBe(409);
      expect((await predictLinear('untrue', 'latest')).status).toBeGreaterThanOrEqual(404);
    });

    it('may come again: with right samples it is validated', async () => {
      expect(await client.upload('untrue', withGolden('untrue', right))).toMatchObject({
        status: 201,
        body: { status: 'validated', report: { golden: { miss_count: 0 } } },
      });
      expect(await client.upload('untrue', withGolden('untrue', wrong))).toMatchObject({ status: 409 });
    });

    it('because it never ends: stopped at the limit, kept as rejected, the server goes on', async () => {
      const began = performance.now();
      // One golden sample makes it run; others would pass the trial load.
      const golden = { source: 'a test', samples: [{ inputs: { x: 1 }, outputs: { y: 1 } }] };
      const files = modelPackage(endlessModel(), { name: 'endless', version: '1' }, { 'golden.json': json(golden) });
      const [reply, other] = await Promise.all([
        client.upload('endless', files),
        client.post('/predict', { features: { price: 1, volume: 1, rsi: 50 } }),
      ]);
      expect(reply).toMatchObject({ status: 422, body: { code: 'model_rejected' } });
      expect(performance.now() - began).toBeLessThan(20_000);
      expect(other.status).toBe(200);
      expect(await client.get('/v1/models/endless/versions/1')).toMatchObject({
        body: { status: 'rejected', report: { passed: false } },
      });
    });

    it('because it takes all memory: ended, kept as rejected, the server goes on', async () => {
      const golden = { source: 'a test', samples: [{ inputs: { x: [1] }, outputs: { y: [0] } }] };
      const files = modelPackage(
        hugeOutputModel(2n ** 32n),
        { name: 'greedy', version: '1' },
        { 'golden.json': json(golden) },
      );
      expect(await client.upload('greedy', files)).toMatchObject({ status: 422, body: { code: 'model_rejected' } });
      expect((await client.post('/predict', { features: { price: 1, volume: 1, rsi: 50 } })).status).toBe(200);
    });

    it('because golden samples do not fit the model is 422 with pointers', async () => {
      const golden = { source: 'a test', samples: [{ inputs: { nothing: [1] }, outputs: {} }] };
      const reply = await client.upload('unfit', withGolden('unfit', golden));
      expect(reply).toMatchObject({ status: 422, body: { code: 'model_rejected' } });
      expect(reply.body.errors[0].pointer).toContain('golden.json');
    });
  });

  describe('a model whose rows depend on each other', () => {
    const golden = { source: 'a test', samples: [{ inputs: { x: [[1, 2]] }, outputs: { y: [[0, 0]] } }] };

    it('is found out, and its predictions never meet', async () => {
      const files = modelPackage(centredModel(), { name: 'centred', version: '1' }, { 'golden.json': json(golden) });
      expect(await client.upload('centred', files)).toMatchObject({
        status: 201,
        body: {
          status: 'validated',
          report: {
            trial: { rows_independent: false },
            notes: [expect.stringMatching(/depends on the rows beside it/)],
          },
        },
      });
      const tensors = await Promise.all(
        Array.from({ length: 60 }, (_, i) => client.post('/models/centred/predict', { inputs: { x: [[i, -i]] } })),
      );
      expect(tensors.map(({ body }) => body.outputs?.y)).toEqual(tensors.map(() => [[0, 0]]));
      const requests = [1, 5, 9].map((x) => ({ model: 'centred', features: { x: [x, 2 * x] } }));
      const batch = await client.post('/predict/batch', { requests });
      expect(batch.body.predictions.map((item: { prediction: unknown }) => item.prediction)).toEqual(
        requests.map(() => ({ outputs: { y: [0, 0] } })),
      );
    });

    it.each([
      ['no samples', undefined],
      ['one sample of zeros', [[0, 0]]],
    ])('is found out with %s', async (_name, x) => {
      const samples = x && [{ inputs: { x }, outputs: { y: [[0, 0]] } }];
      const version = samples ? '2' : '3';
      const extra = samples && { 'golden.json': json({ source: 'a test', samples }) };
      const files = modelPackage(centredModel(), { name: 'centred', version }, extra);
      expect(await client.upload('centred', files)).toMatchObject({
        status: 201,
        body: { report: { trial: { rows_independent: false } } },
      });
      const answers = await Promise.all(
        Array.from({ length: 60 }, (_, i) =>
          client.post('/models/centred/predict', { model_version: version, inputs: { x: [[i, -i]] } }),
        ),
      );
      expect(answers.map(({ body }) => body.outputs?.y)).toEqual(answers.map(() => [[0, 0]]));
    });

    it('is told from one whose rows do not', async () => {
      const { body } = await client.get('/v1/models/momentum/versions/1.3.0');
      expect(body.report.trial).toMatchObject({ rows_independent: true });
    });
  });

  describe('hostile uploads', () => {
    const names = [
      '../x',
      '../../admin-key',
      '/etc/cron.d/x',
      'a/../../x',
      'C:\\x',
      '..\\x',
      'a\\b',
      'a\0b',
      './x',
      '~/x',
      'con',
      'a//b',
      'x.',
      '%2e%2e/x',
    ];

    it.each(names)('a file named %j is 400 and lands nowhere', async (name) => {
      const before = [
        stored(),
        fs.readdirSync(server.dataDir),
        fs.readdirSync(path.dirname(server.dataDir)).includes('x'),
      ];
      const reply = await client.uploadParts('tricks', [
        { field: 'f', file: 'model.onnx', content: LINEAR },
        { field: 'f', file: name, content: 'pwned' },
      ]);
      // A name that is harmless as it stands (%2e is three characters) may be left out of the package, never decoded.
      expect(reply).toMatchObject({ status: 400, body: { code: 'invalid_parameter' } });
      expect([
        stored(),
        fs.readdirSync(server.dataDir),
        fs.readdirSync(path.dirname(server.dataDir)).includes('x'),
      ]).toEqual(before);
    });

    it('two files of one name are 400', async () => {
      const part = { field: 'f', file: 'model.onnx', content: LINEAR };
      expect(await client.uploadParts('tricks', [part, part], {})).toMatchObject({ status: 400 });
    });

    it('too many files, and too many fields, are 400', async () => {
      const many = Array.from({ length: FILES + 1 }, (_, i) => ({ field: 'f', file: `f${i}`, content: 'x' }));
      expect(await client.uploadParts('many', many)).toMatchObject({
        status: 400,
        body: { code: 'invalid_parameter' },
      });
      const fields = Array.from({ length: 500 }, (_, i) => ({ field: `f${i}`, content: 'x' }));
      expect(await client.uploadParts('many', fields)).toMatchObject({ status: 400 });
      expect(stored().filter((file) => file.startsWith('uploads/'))).toEqual([]);
    });

    it('an unknown field is 400 and names it', async () => {
      const reply = await client.upload('fields', linear('fields'), { versoin: '1.0.0' });
      expect(reply).toMatchObject({ status: 400, body: { code: 'unknown_field' } });
      expect(JSON.stringify(reply.body)).toContain('versoin');
    });

    it('more bytes than a package may have: 413, declared or not', async () => {
      const big = [{ field: 'f', file: 'model.onnx', content: Buffer.alloc(LIMIT_BYTES + 1) }];
      expect(await client.uploadParts('big', big)).toMatchObject({ status: 413, body: { code: 'body_too_large' } });
      const chunked = await chunkedUpload(server, multipart(big));
      expect(chunked).toMatchObject({ status: 413, body: { code: 'body_too_large' } });
      expect(stored().filter((file) => file.startsWith('uploads/'))).toEqual([]);
    });

    it('a declared size of gigabytes is refused before it comes', async () => {
      const status = await new Promise<number | undefined>((resolve, reject) => {
        const request = http.request(`${server.url}/v1/models/big/versions`, {
          method: 'POST',
          headers: { 'x-api-key': server.adminKey, 'content-type': MULTIPART, 'content-length': String(5 * 2 ** 30) },
        });
        request.once('response', (response) => (resolve(response.statusCode), request.destroy())).once('error', reject);
        request.flushHeaders();
      });
      expect(status).toBe(413);
    });

    it('an upload that is cut off leaves nothing on disk, and one event', async () => {
      const body = multipart(partsOf(examplePackage('momentum-1.3.0', { version: '77' })));
      const before = stored();
      const socket = net.connect(server.port, '127.0.0.1');
      await once(socket, 'connect');
      socket.write(
        `POST /v1/models/momentum/versions HTTP/1.1\r\nHost: x\r\nX-API-Key: ${server.adminKey}\r\nX-Request-Id: cut-off\r\n` +
          `Content-Type: ${MULTIPART}\r\nContent-Length: ${body.length}\r\n\r\n`,
      );
      socket.write(body.subarray(0, 300_000));
      await until(() => stored().some((file) => file.startsWith('uploads/') && !before.includes(file)));
      socket.destroy();
      await until(() => String(stored()) === String(before));
      await until(async () => (await client.events('request_id=cut-off')).length > 0);
      const events = await client.events('request_id=cut-off');
      expect(events).toMatchObject([{ action: 'model.register', outcome: 'failed', status: 499 }]);
      expect((await client.get('/v1/models/momentum/versions/77')).status).toBe(404);
    });

    it.each([
      ['no boundary', 'multipart/form-data', 'x', [400, 415]],
      ['a body that is no multipart', MULTIPART, 'hello', [400]],
      [
        'a body that ends in the middle',
        MULTIPART,
        `--${BOUNDARY}\r\nContent-Disposition: form-data; name="f"; filename="model.onnx"\r\n\r\nabc`,
        [400],
      ],
      ['an archive', 'application/zip', 'PK', [415]],
      ['JSON that is none', 'application/json', '{', [400]],
      ['JSON that names nothing', 'application/json', '{}', [400]],
    ])('%s is refused', async (_what, type, body, statuses) => {
      const before = stored();
      const reply = await client.post('/v1/models/odd/versions', body, { headers: { 'content-type': type } });
      expect(statuses).toContain(reply.status);
      expect(reply.headers.get('content-type')).toContain('application/problem+json');
      expect(stored()).toEqual(before);
    });
  });

  describe('from an import folder', () => {
    const folder = (): string => path.join(server.dataDir, 'import');
    beforeAll(() => {
      writePackage(path.join(folder(), 'imported-1'), linear('imported', '1'));
      writePackage(path.join(folder(), 'imported-2'), linear('imported', '2'));
      fs.writeFileSync(path.join(folder(), 'single.onnx'), LINEAR);
      writePackage(path.join(server.dataDir, 'secret'), linear('imported', '3'));
      fs.symlinkSync(path.join(server.dataDir, 'secret'), path.join(folder(), 'link'));
    });

    it.each([
      ['a path', () => path.join(folder(), 'imported-1'), '1'],
      ['a relative path', () => 'imported-1', '1'],
      ['a file: URI', () => `file://${folder()}/imported-2/sibyl.json`, '2'],
    ])('%s is registered', async (_what, uri, version) => {
      const reply = await client.post('/v1/models/imported/versions', { source_uri: uri() });
      expect([200, 201]).toContain(reply.status);
      expect(reply.body).toMatchObject({ name: 'imported', version, status: 'validated' });
    });

    it('a single .onnx takes its version from the request', async () => {
      const reply = await client.post('/v1/models/single/versions', { source_uri: 'single.onnx', version: '5' });
      expect(reply).toMatchObject({ status: 201, body: { name: 'single', version: '5' } });
    });

    it.each([
      ['outside', () => path.join(server.dataDir, 'secret')],
      ['above', () => '../secret'],
      ['behind a link', () => 'link'],
      ['not there', () => 'absent'],
      ['of another scheme', () => 'ftp://example.org/x.onnx'],
      ['a file of the system', () => 'file:///etc/passwd'],
    ])('%s is 400 and tells nothing', async (_what, uri) => {
      const reply = await client.post('/v1/models/imported/versions', { source_uri: uri() });
      expect(reply).toMatchObject({ status: 400, body: { code: 'invalid_parameter' } });
      expect(JSON.stringify(reply.body)).not.toContain(server.dataDir);
    });
  });

  describe('without waiting', () => {
    it('Prefer: respond-async is 202 with an operation that ends with the version', async () => {
      const reply = await client.upload('later', linear('later'), {}, { headers: { prefer: 'respond-async' } });
      expect(reply).toMatchObject({
        status: 202,
        body: { kind: 'model.register', progress: { done: expect.any(Number) as number } },
      });
      const location = reply.headers.get('location') ?? '';
      expect(location).toBe(`/v1/operations/${reply.body.id}`);
      const ended = await client.ended(location);
      expect(ended).toMatchObject({
        status: 200,
        body: { status: 'succeeded', result: { name: 'later', version: '1.0.0', status: 'validated' } },
      });
    });

    it('an operation that fails says why', async () => {
      const files = modelPackage(customDomainModel(), { name: 'later', version: '2' });
      const reply = await client.upload('later', files, {}, { headers: { prefer: 'respond-async' } });
      expect(reply.status).toBe(202);
      const ended = await client.ended(reply.headers.get('location') ?? '');
      expect(ended).toMatchObject({ body: { status: 'failed', error: { code: 'model_rejected' } } });
      await until(async () => (await client.events(`request_id=${reply.body.id}`)).length > 0);
      expect(await client.events(`request_id=${reply.body.id}`)).toMatchObject([
        { action: 'model.register', outcome: 'failed', status: 422 },
      ]);
    });

    it("another key's operation is 404, except for ops:read", async () => {
      const reply = await client.upload('later', linear('later'), {}, { headers: { prefer: 'respond-async' } });
      const team = await client.post('/v1/keys', { name: 'team', role: 'team' });
      const operator = await client.post('/v1/keys', { name: 'operator', role: 'operator' });
      const route = reply.headers.get('location') ?? '';
      expect(await client.get(route, { key: team.body.key })).toMatchObject({
        status: 404,
        body: { code: 'operation_not_found' },
      });
      expect((await client.get(route, { key: operator.body.key })).status).toBe(200);
    });
  });

  describe('loading and unloading', () => {
    it('a version that is known is loaded', async () => {
      const reply = await client.post('/v1/models/load', { model_id: 'imported', version: '1' });
      expect(reply).toMatchObject({ status: 200, body: { name: 'imported', version: '1', loaded: true } });
    });

    it('an alias or latest will do', async () => {
      expect(await client.post('/v1/models/load', { model_id: 'momentum', version: 'production' })).toMatchObject({
        status: 200,
        body: { version: '1.2.3' },
      });
      expect(await client.post('/v1/models/load', { model_id: 'momentum', version: 'latest' })).toMatchObject({
        status: 200,
        body: { version: '1.3.0' },
      });
    });

    it('one that is not known is registered from its URI first, and else 404', async () => {
      writePackage(path.join(server.dataDir, 'import/fetched'), linear('fetched', '3'));
      expect(await client.post('/v1/models/load', { model_id: 'fetched', version: '3' })).toMatchObject({
        status: 404,
        body: { code: 'model_not_found' },
      });
      const reply = await client.post('/v1/models/load', {
        model_id: 'fetched',
        version: '3',
        registry_uri: 'fetched',
      });
      expect(reply).toMatchObject({ status: 200, body: { name: 'fetched', version: '3', loaded: true } });
      expect(await client.post('/v1/models/load', { model_id: 'fetched', version: '4' })).toMatchObject({
        status: 404,
        body: { code: 'version_not_found' },
      });
    });

    it('what was unloaded is loaded again by the next request, as its health tells', async () => {
      const gone = await client.call('DELETE', '/v1/models/momentum/1.2.3');
      expect(gone).toMatchObject({ status: 200, body: { name: 'momentum', version: '1.2.3', loaded: false } });
      expect((await client.get('/models/momentum/health?version=1.2.3')).body).toMatchObject({ ready: false });
      const asked = await client.post('/predict', { features: { price: 1, volume: 1, rsi: 50 } });
      expect(asked).toMatchObject({ status: 200, body: { model_info: { name: 'momentum', version: '1.2.3' } } });
      expect((await client.get('/models/momentum/health')).body).toMatchObject({
        ready: true,
        requests: expect.any(Number),
      });
    });

    it('unloading what is not there is 404', async () => {
      expect(await client.call('DELETE', '/v1/models/momentum/9.9.9')).toMatchObject({
        status: 404,
        body: { code: 'version_not_found' },
      });
      const near = await client.call('DELETE', '/v1/models/momentun/1.2.3');
      expect(near).toMatchObject({
        status: 404,
        body: { code: 'model_not_found', detail: expect.stringContaining('momentum') },
      });
    });

    it('needs models:write', async () => {
      const team = await client.post('/v1/keys', { name: 'team', role: 'team' });
      const request = { key: team.body.key as string };
      expect(await client.upload('x', linear('x'), {}, request)).toMatchObject({
        status: 403,
        body: { code: 'scope_missing' },
      });
      expect((await client.post('/v1/models/load', { model_id: 'momentum', version: '1.2.3' }, request)).status).toBe(
        403,
      );
      expect((await client.call('DELETE', '/v1/models/momentum/1.2.3', request)).status).toBe(403);
    });

    it('a key for some models writes those only', async () => {
      const { body } = await client.post('/v1/keys', {
        name: 'some',
        scopes: ['models:write', 'models:read'],
        models: ['mine*'],
      });
      const request = { key: body.key as string };
      expect(await client.upload('theirs', linear('theirs'), {}, request)).toMatchObject({
        status: 403,
        body: { code: 'model_forbidden' },
      });
      expect((await client.upload('mine-1', linear('mine-1'), {}, request)).status).toBe(201);
      expect(await client.post('/v1/models/load', { model_id: 'momentum', version: 'latest' }, request)).toMatchObject({
        status: 403,
      });
      const { body: list } = await client.get('/models?limit=1000', request);
      expect(list.models.map(({ name }: { name: string }) => name)).toEqual(['mine-1']);
    });
  });

  describe('what is there', () => {
    it('is listed one row a version, with paging and filters', async () => {
      const all = (await client.get('/models?limit=1000')).body;
      expect(all.next).toBeUndefined();
      expect(all.models).toContainEqual(
        expect.objectContaining({
          name: 'momentum',
          version: '1.3.0',
          status: 'validated',
          aliases: [],
          features: ['price', 'volume', 'rsi', 'macd'],
          accuracy: 0.7044,
        }),
      );
      const paged: unknown[] = [];
      for (let next: string | undefined = ''; next !== undefined;) {
        const cursor: string = next === '' ? '' : `&cursor=${encodeURIComponent(next)}`;
        const { body } = await client.get(`/v1/models?limit=3${cursor}`);
        expect(body.models.length).toBeLessThanOrEqual(3);
        paged.push(...body.models);
        next = body.next as string | undefined;
      }
      // What was registered last may be loaded between two pages.
      const lasting = (models: unknown[]) => models.map((model) => ({ ...(model as object), loaded: undefined }));
      expect(lasting(paged)).toEqual(lasting(all.models as unknown[]));
      const named = (await client.get('/models?name=momentum')).body.models as { name: string }[];
      expect(named.map(({ name }) => name)).toEqual(['momentum', 'momentum']);
      for (const loaded of [true, false]) {
        const { body } = await client.get(`/models?limit=1000&loaded=${loaded}`);
        expect(body.models.length).toBeGreaterThan(0);
        expect(body.models.filter((row: { loaded: boolean }) => row.loaded !== loaded)).toEqual([]);
      }
    });

    it.each(['limit=0', 'limit=x', 'limit=1001', 'loaded=maybe', 'cursor=garbage', 'nmae=momentum'])(
      '?%s is 400',
      async (query) => {
        expect((await client.get(`/models?${query}`)).status).toBe(400);
      },
    );

    it('has versions, info and health, under /v1 too', async () => {
      for (const prefix of ['', '/v1']) {
        const versions = await client.get(`${prefix}/models/momentum/versions`);
        expect(versions.body).toMatchObject({
          model_name: 'momentum',
          versions: [{ version: '1.2.3' }, { version: '1.3.0' }],
        });
        const info = await client.get(`${prefix}/models/momentum/info`);
        expect(info.body).toMatchObject({
          name: 'momentum',
          version: '1.2.3',
          provider: 'cpu',
          loaded: true,
          signature: {},
          manifest: { name: 'momentum' },
        });
        expect(info.body.memory_bytes).toBeGreaterThanOrEqual(0);
        const health = await client.get(`${prefix}/models/momentum/health`);
        expect(health.body).toMatchObject({
          ready: true,
          errors: expect.any(Number),
          last_used_at: expect.any(String),
        });
      }
    });

    it.each(['versions', 'info', 'health', 'history', 'versions/1.0.0', 'aliases/production'])(
      'of a model that is not there: %s is 404 with near names',
      async (what) => {
        const reply = await client.get(`/v1/models/momentumm/${what}`);
        expect(reply).toMatchObject({
          status: 404,
          body: { code: 'model_not_found', detail: expect.stringContaining("'momentum'") },
        });
      },
    );
  });

  describe('an Idempotency-Key', () => {
    const headers = { 'idempotency-key': 'once' };

    it('answers the same upload with the stored answer, and another one with 422', async () => {
      const first = await client.upload('idem', linear('idem'), {}, { headers });
      expect(first.status).toBe(201);
      const again = await client.upload('idem', linear('idem'), {}, { headers });
      expect([again.status, again.body]).toEqual([201, first.body]);
      const other = await client.upload('idem', linear('idem', '2'), {}, { headers });
      expect(other).toMatchObject({ status: 422, body: { code: 'idempotency_conflict' } });
    });
  });

  it('a version serves from the moment in which its registration is answered', async () => {
    for (let version = 1; version <= 12; version++) {
      expect((await client.upload('prompt', linear('prompt', `${version}`))).status).toBe(201);
      const replies = await Promise.all([predictLinear('prompt', `${version}`), predictLinear('prompt', 'latest')]);
      expect(replies.map(({ status, body }) => [status, body.model_info?.version])).toEqual([
        [200, `${version}`],
        [200, `${version}`],
      ]);
    }
  });

  it('two at once of one version are one version', async () => {
    const statuses = await Promise.all([1, 2, 3].map(async () => (await client.upload('race', linear('race'))).status));
    expect(statuses.sort((a, b) => a - b)).toEqual([200, 200, 201]);
    const others = await Promise.all(
      ['a', 'b'].map(async (note) => (await client.upload('race', linear('race', '2', { note }))).status),
    );
    expect(others.sort((a, b) => a - b)).toEqual([201, 409]);
  });

  it('a model that takes its trip count as an input is served', async () => {
    expect(
      (await client.upload('counting', modelPackage(loopModel(), { name: 'counting', version: '1' }))).status,
    ).toBe(201);
    const reply = await client.post('/models/counting/predict', { inputs: { x: 5, trips: 10 }, model_version: '1' });
    expect(reply).toMatchObject({ status: 200, body: { outputs: { y: 15 } } });
  });

  it('each of all these requests has exactly one event with the status of its answer', async () => {
    expect(await client.unrecorded()).toEqual([]);
  });

  it('nothing of an upload is left behind', () => {
    expect(stored().filter((file) => /^(uploads|staging)\//.test(file))).toEqual([]);
  });
});

/** Sends a body without saying how long it is. */
async function chunkedUpload(server: TestServer, body: Buffer): Promise<{ status: number | undefined; body: unknown }> {
  const headers = { 'x-api-key': server.adminKey, 'content-type': MULTIPART };
  const request = http.request(`${server.url}/v1/models/big/versions`, { method: 'POST', headers });
  // The server may close as soon as it has seen too much.
  request.on('error', () => undefined);
  const answered = once(request, 'response') as Promise<[http.IncomingMessage]>;
  for (let at = 0; at < body.length; at += 65_536) request.write(body.subarray(at, at + 65_536));
  request.end();
  const [response] = await answered;
  const chunks = (await response.toArray()) as Buffer[];
  return { status: response.statusCode, body: JSON.parse(String(Buffer.concat(chunks))) };
}

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + 10_000; !(await holds()); await new Promise((resolve) => setTimeout(resolve, 20)))
    if (Date.now() > deadline) throw new Error('it never came to hold');
}
