import { readFileSync } from 'node:fs';
import path from 'node:path';
import { addModel, identityModel, linearModel, unaryModel } from '@sibyl/onnx/testing';
import { packageForm } from '../support/package-form';
import { RecordedClient, type Reply } from '../support/recorded-client';
import { REPOSITORY, startServer, type TestServer } from '../support/server.mjs';

const UUID7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const INSTANT = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?Z$/;
const DIGEST = /^hmac-sha256:[0-9a-f]{64}$/;
const README_BODY =
  '{"symbol":"BTC/USDT","timestamp":"2024-01-15T10:30:00Z","features":{"price":45000.0,"volume":1000000.0,"rsi":65.5},"model_version":"latest"}';
const FEATURES = { price: 45000, volume: 1000000, rsi: 65.5, macd: 0.5 };
const INFO_130 = { name: 'momentum', version: '1.3.0', training_date: '2024-03-04T00:00:00Z', accuracy: 0.7044 };
const INFO_123 = { name: 'momentum', version: '1.2.3', training_date: '2024-01-10T00:00:00Z', accuracy: 0.6671 };

interface Golden {
  readonly samples: readonly {
    readonly inputs: { readonly features: number[][] };
    readonly outputs: { readonly label: number[]; readonly probabilities: number[][] };
  }[];
}
interface Manifest {
  readonly classes: readonly string[];
  readonly inputs: readonly { readonly columns: readonly string[] }[];
}

function example(model: string, file: string): unknown {
  return JSON.parse(readFileSync(path.join(REPOSITORY, 'examples/models', model, file), 'utf8'));
}

describe('predictions', () => {
  let server: TestServer;
  let calls: RecordedClient;

  beforeAll(async () => {
    server = await startServer();
    calls = new RecordedClient(server, 'predict');
  }, 90_000);
  afterAll(async () => {
    await server.stop();
  }, 30_000);

  async function register(name: string, model: Uint8Array, manifest: Record<string, unknown> = {}): Promise<void> {
    const answer = await calls.post(
      `/v1/models/${name}/versions`,
      packageForm(model, { name, version: '1', ...manifest }),
    );
    expect([answer.status, answer.text]).toEqual([201, answer.text]);
  }

  async function keyWith(parts: Record<string, unknown>): Promise<string> {
    const { body } = await calls.post('/v1/keys', { name: 'a key', ...parts });
    return body.key as string;
  }

  describe('POST /predict', () => {
    it('answers the example of the README as the README says', async () => {
      const answer = await calls.post('/predict', README_BODY);
      expect(answer.status).toBe(200);
      expect(answer.headers.get('content-type')).toMatch(/^application\/json\b/);
      expect(answer.headers.get('x-request-id')).toBe(answer.requestId);
      expect(answer.body).toEqual({
        id: expect.stringMatching(UUID7),
        prediction: { signal: 'HOLD', confidence: expect.closeTo(0.4377, 4), probability: expect.closeTo(0.4377, 4) },
        model_info: INFO_130,
        degraded: { reasons: ['features_defaulted'], features: ['macd'] },
        timestamp: expect.stringMatching(INSTANT),
      });
    });

    it('says nothing of degradation when every feature was sent', async () => {
      const { body } = await calls.post('/predict', { features: FEATURES });
      expect(Object.keys(body as object)).toEqual(['id', 'prediction', 'model_info', 'timestamp']);
    });

    it.each([
      ['left out: the alias production', undefined, INFO_123],
      ['latest', 'latest', INFO_130],
      ['an alias', 'production', INFO_123],
      ['an exact version', '1.3.0', INFO_130],
      ['another exact version', '1.2.3', INFO_123],
      ['a leading v', 'v1.3.0', INFO_130],
    ])('takes the version %s', async (_, version, info) => {
      const { body } = await calls.post('/predict', {
        features: FEATURES,
        ...(version === undefined ? {} : { model_version: version }),
      });
      expect(body.model_info).toEqual(info);
    });

    it.each(['/predict', '/v1/predict', '/predict/', '/v1/predict/', '/predict?x=1'])(
      'answers at %s',
      async (route) => {
        expect((await calls.post(route, { features: FEATURES, model: 'momentum' })).body).toMatchObject({
          model_info: INFO_123,
        });
      },
    );

    it('takes an entity, an offset in the timestamp, and features in any order', async () => {
      const body = {
        entity: { account: 7 },
        timestamp: '2024-01-15T10:30:00.5+02:00',
        features: { macd: 0.5, rsi: 65.5, volume: 1e6, price: 45e3 },
      };
      const one = await calls.post('/predict', body);
      const other = await calls.post('/predict', { features: FEATURES });
      expect(one.body.prediction).toEqual(other.body.prediction);
    });
  });

  it.each([
    ['breast_cancer-1.0.0', 'malignant', 0.3],
    ['fraud_detection-2.0.0', 'fraud', 0.5],
  ])(
    '%s: the threshold of the positive class decides, and probabilities are those of the training library',
    async (folder, positive, threshold) => {
      const [model = ''] = folder.split('-');
      const { classes, inputs } = example(folder, 'sibyl.json') as Manifest;
      const columns = inputs[0]?.columns ?? [];
      const rows = (example(folder, 'golden.json') as Golden).samples.flatMap(({ inputs: { features }, outputs }) =>
        features.map((row, i) => ({ row, probabilities: outputs.probabilities[i] ?? [] })),
      );
      const answer = await calls.post('/v1/infer', {
        model_id: model,
        inputs: rows.map(({ row }) => Object.fromEntries(row.map((value, i) => [columns[i], value]))),
      });
      expect(answer.body).toEqual({
        id: expect.stringMatching(UUID7),
        model_id: model,
        model_version: folder.split('-')[1],
        outputs: rows.map(({ probabilities }) => {
          const at = classes.indexOf(positive);
          const won = (probabilities[at] ?? 0) >= threshold ? at : 1 - at;
          const probability = expect.closeTo(probabilities[won] ?? NaN, 5);
          return { label: classes[won], probability, confidence: probability };
        }),
        request_id: answer.requestId,
        latency_ms: expect.any(Number),
      });
      expect(new Set(answer.body.outputs.map(({ label }: { label: string }) => label)).size).toBe(2);
    },
  );

  describe('POST /predict/batch', () => {
    it('answers every item in its place; bad ones fail alone and are told where', async () => {
      const { status, body } = await calls.post('/predict/batch', {
        requests: [
          { symbol: 'A', features: FEATURES },
          { symbol: 'B', features: { ...FEATURES, rsi: 101 } },
          { symbol: 'C', features: { price: 1, volume: 1, rsi: 1 } },
          { symbol: 'D', features: { feature1: 1, feature2: 2 }, model: 'fraud_detection' },
          { features: FEATURES, model_version: 'latest' },
          { symbol: 'F', model: 'momentun', features: FEATURES },
          { symbol: 'G', features: { price: 1 } },
          7,
        ],
      });
      expect(status).toBe(200);
      expect(body.model_info).toEqual(INFO_123);
      expect(body.timestamp).toMatch(INSTANT);
      const error = (code: string, pointer: string): object => ({
        type: `/docs/errors#${code}`,
        code,
        detail: expect.any(String),
        errors: expect.arrayContaining([expect.objectContaining({ pointer })]),
      });
      expect(body.predictions).toMatchObject([
        { symbol: 'A', prediction: { signal: expect.any(String) } },
        { symbol: 'B', error: error('input_out_of_range', '/requests/1/features/rsi') },
        { symbol: 'C', prediction: { signal: expect.any(String) }, degraded: { features: ['macd'] } },
        { symbol: 'D', prediction: { label: 'legitimate' }, model_info: { name: 'fraud_detection', version: '2.0.0' } },
        { prediction: { signal: expect.any(String) }, model_info: INFO_130 },
        { symbol: 'F', error: { code: 'model_not_found', detail: expect.stringContaining('momentum') } },
        { symbol: 'G', error: error('incomplete_features', '/requests/6/features/volume') },
        { error: error('invalid_parameter', '/requests/7') },
      ]);
      expect(Object.keys(body.predictions[0])).toEqual(['symbol', 'prediction']);
    });

    it('takes model and version for all items, which an item may overrule', async () => {
      const { body } = await calls.post('/v1/predict/batch/', {
        model: 'momentum',
        model_version: 'latest',
        requests: [{ features: FEATURES }, { features: FEATURES, model_version: '1.2.3' }],
      });
      expect(body.model_info).toEqual(INFO_130);
      expect(body.predictions[1].model_info).toEqual(INFO_123);
    });

    it('answers what each of its items would have been answered alone', async () => {
      const requests = Array.from({ length: 1000 }, (_, i) => ({ features: { ...FEATURES, price: 100 + i * 50 } }));
      const { body } = await calls.post('/predict/batch', { requests });
      expect(body.predictions).toHaveLength(1000);
      for (const i of [0, 500, 999]) {
        const alone = await calls.post('/predict', requests[i]);
        expect(alone.body.prediction.signal).toBe(body.predictions[i].prediction.signal);
        expect(alone.body.prediction.probability).toBeCloseTo(body.predictions[i].prediction.probability as number, 5);
      }
    });

    it('is answered whole when none of its items can be', async () => {
      const { status, body } = await calls.post('/predict/batch', {
        requests: [{ features: { x: 1 } }, { features: { price: 'a' } }],
      });
      expect(status).toBe(200);
      expect(body.predictions.map((item: { error: { code: string } }) => item.error.code)).toEqual([
        'unknown_field',
        'input_type_mismatch',
      ]);
    });
  });

  describe('POST /models/{name}/predict', () => {
    it('answers as /predict does, with the model of the path', async () => {
      const { body } = await calls.post('/models/momentum/predict', {
        symbol: 'A',
        features: FEATURES,
        model_version: 'v1.3.0',
      });
      expect(body).toEqual({
        id: expect.stringMatching(UUID7),
        prediction: expect.any(Object),
        model_info: INFO_130,
        timestamp: expect.stringMatching(INSTANT),
      });
      const again = await calls.post('/v1/models/momentum/predict/', { features: FEATURES, model: 'momentum' });
      expect(again.body.model_info).toEqual(INFO_123);
    });

    it('takes tensors, and predicts where there is one row', async () => {
      const one = await calls.post('/models/fraud_detection/predict', { inputs: { features: [[1, 2]] } });
      expect(one.body).toMatchObject({
        outputs: { label: [0] },
        prediction: { label: 'legitimate', probability: expect.closeTo(0.90325, 4) },
      });
      const three = await calls.post('/models/fraud_detection/predict', {
        inputs: {
          features: [
            [1, 2],
            [3, 0],
            [5, 1],
          ],
        },
      });
      expect(three.body.outputs.label).toHaveLength(3);
      expect(three.body.outputs.probabilities[0]).toEqual(one.body.outputs.probabilities[0]);
    });

    it.each([
      ['a row that is too short', { features: [[1]] }, 'input_shape_mismatch', '/inputs/features'],
      ['ragged rows', { features: [[1, 2], [1]] }, 'input_shape_mismatch', '/inputs/features/1'],
      ['a rank that is too low', { features: [1, 2] }, 'input_shape_mismatch', '/inputs/features'],
      ['a rank that is too high', { features: [[[1, 2]]] }, 'input_shape_mismatch', '/inputs/features'],
      ['a word', { features: [[1, 'two']] }, 'input_type_mismatch', '/inputs/features/0/1'],
      ['null where it means nothing', { features: [[1, null]] }, 'input_missing', '/inputs/features/0/1'],
      ['an infinity', '{"inputs":{"features":[[1,1e999]]}}', 'non_finite_input', '/inputs/features/0/1'],
      ['a number beyond FP32', { features: [[1, 1e39]] }, 'input_out_of_range', '/inputs/features/0/1'],
      ['an absent tensor', {}, 'input_missing', '/inputs/features'],
      ['a tensor that is null', { features: null }, 'input_missing', '/inputs/features'],
    ])('refuses %s with a pointer', async (_, inputs, code, pointer) => {
      const answer = await calls.post(
        '/models/fraud_detection/predict',
        typeof inputs === 'string' ? inputs : { inputs },
      );
      expect([answer.status, answer.body.code, answer.body.errors[0].pointer]).toEqual([422, code, pointer]);
    });

    it('refuses no rows at all', async () => {
      expect(await calls.post('/models/fraud_detection/predict', { inputs: { features: [] } })).toMatchObject({
        status: 422,
      });
    });

    it('refuses unknown tensors and features beside tensors', async () => {
      const unknown = await calls.post('/models/fraud_detection/predict', {
        inputs: { feature: [[1, 2]], features: [[1, 2]] },
      });
      expect(unknown).toMatchObject({
        status: 400,
        body: {
          code: 'unknown_field',
          errors: [{ pointer: '/inputs/feature', hint: expect.stringContaining('features') }],
        },
      });
      const both = await calls.post('/models/fraud_detection/predict', {
        inputs: { features: [[1, 2]] },
        features: {},
      });
      expect(both).toMatchObject({ status: 400, body: { code: 'invalid_parameter' } });
    });

    it('holds tensors with columns against the ranges of the manifest', async () => {
      const answer = await calls.post('/models/momentum/predict', {
        inputs: {
          features: [
            [45000, 1, 50, 0],
            [45000, 1, 101, 0],
          ],
        },
      });
      expect(answer).toMatchObject({
        status: 422,
        body: { code: 'input_out_of_range', errors: [{ pointer: '/inputs/features/1/2' }] },
      });
    });
  });

  describe('datatypes', () => {
    beforeAll(async () => {
      await register('int64', identityModel('INT64', [-1]), {
        inputs: [{ name: 'x', datatype: 'INT64', shape: [-1] }],
        features: [{ name: 'x', datatype: 'INT64', max: 9e15 }],
      });
      await register('scalar', identityModel('FP32', []));
      await register('cube', identityModel('FP32', [-1, 2, 2]));
      await register('text', identityModel('BYTES', [-1]), {
        features: [{ name: 'x', datatype: 'BYTES', allowed: ['red', 'blue'] }],
      });
      await register('log', unaryModel('Log'), { task: 'generic' });
      await register('value', unaryModel('Log'), { task: 'regression' });
      await register('sum', addModel());
      await register('ruled', linearModel({ weights: [[1, 1]], bias: [0] }), {
        task: 'regression',
        inputs: [{ name: 'features', datatype: 'FP32', shape: [-1, 2], columns: ['share', 'level'] }],
        features: [
          { name: 'share', datatype: 'FP32', min: 0.1, max: 0.7 },
          { name: 'level', datatype: 'FP32', nullable: true, allowed: [0.1, 0.3] },
        ],
      });
      await register('half', identityModel('FP16', [-1, 1]), {
        task: 'generic',
        inputs: [{ name: 'x', datatype: 'FP16', shape: [-1, 1], columns: ['x'] }],
        features: [{ name: 'x', datatype: 'FP16', min: -5, max: 5 }],
      });
    }, 90_000);

    const infer = (model: string, inputs: unknown): Promise<Reply> =>
      calls.post(`/models/${model}/predict`, typeof inputs === 'string' ? `{"inputs":${inputs}}` : { inputs });

    it('INT64 keeps all its digits, from strings and numbers', async () => {
      const answer = await infer('int64', { x: [1, '9007199254740993', '-9223372036854775808'] });
      expect(answer.status).toBe(422); // beyond the range of the manifest
      await register('wide', identityModel('INT64', [-1]));
      expect(
        (await infer('wide', { x: [1, '9007199254740993', '-9223372036854775808', 9007199254740991] })).text,
      ).toContain('"y":[1,9007199254740993,-9223372036854775808,9007199254740991]');
      // The same as plain numbers: by tensor, by feature, and among what only the ordinary parser reads.
      const digits = '[9007199254740993,-9223372036854775808,9223372036854775807]';
      expect((await infer('wide', `{"x":${digits}}`)).text).toContain(`"y":${digits}`);
      expect((await infer('wide', `{"\\u0078":${digits}}`)).text).toContain(`"y":${digits}`);
      for (const name of ['x', '\\u0078']) {
        const { text } = await calls.post('/models/wide/predict', `{"features":{"${name}":-9007199254740993}}`);
        expect(text).toContain('-9007199254740993');
      }
      expect((await infer('wide', '{"x":[9223372036854775808]}')).body).toMatchObject({ code: 'input_out_of_range' });
      for (const [value, code] of [
        ['9223372036854775808', 'input_out_of_range'],
        ['1.5', 'input_type_mismatch'],
        ['one', 'input_type_mismatch'],
        [1.5, 'input_type_mismatch'],
      ])
        expect((await infer('wide', { x: [value] })).body).toMatchObject({
          code,
          errors: [{ pointer: '/inputs/x/0' }],
        });
    });

    it('ranges hold for INT64 too, also in strings, by tensor and by feature', async () => {
      for (const x of [9.1e15, '9100000000000000']) {
        expect(await infer('int64', { x: [x] })).toMatchObject({
          status: 422,
          body: { code: expect.stringMatching(/input_(out_of_range|type_mismatch)/) },
        });
        expect(await calls.post('/models/int64/predict', { features: { x } })).toMatchObject({ status: 422 });
      }
      expect((await infer('int64', { x: ['8999999999999999'] })).text).toContain('8999999999999999');
    });

    it('ranges and allowed values mean the numbers that were sent, not what FP32 makes of them', async () => {
      for (const [share, level, status] of [
        [0.7, 0.3, 200],
        [0.1, 0.1, 200],
        [0.7001, 0.1, 422],
        [0.0999, 0.1, 422],
        [0.5, 0.2, 422],
        [0.5, null, 422],
      ] as const) {
        const byTensor = await infer('ruled', { features: [[share, level]] });
        const byName = await calls.post('/models/ruled/predict', { features: { share, level } });
        expect([share, level, byTensor.status, byName.status]).toEqual([share, level, status, status]);
        expect(byTensor.body.code).toBe(byName.body.code);
      }
      // A missing level is allowed; that the sum is then not finite is the model's answer.
      expect((await infer('ruled', { features: [[0.5, null]] })).body.code).toBe('model_output_invalid');
    });

    it('FP16 is ranged by its value', async () => {
      expect((await infer('half', { x: [[1.5], [-2]] })).body.outputs.y).toEqual([[1.5], [-2]]);
      expect((await infer('half', { x: [[5.5]] })).body.code).toBe('input_out_of_range');
    });

    it('a scalar has rank 0, a tensor any rank', async () => {
      expect((await infer('scalar', { x: 1.5 })).body.outputs.y).toBe(1.5);
      expect((await infer('scalar', { x: [1.5] })).body.code).toBe('input_shape_mismatch');
      expect(
        (
          await infer('cube', {
            x: [
              [
                [1, 2],
                [3, 4],
              ],
            ],
          })
        ).body.outputs.y,
      ).toEqual([
        [
          [1, 2],
          [3, 4],
        ],
      ]);
    });

    it('texts are texts, and only the allowed ones', async () => {
      expect((await infer('text', { x: ['red', 'blue'] })).body.outputs.y).toEqual(['red', 'blue']);
      expect((await infer('text', { x: ['red', 'green'] })).body).toMatchObject({
        code: 'input_not_allowed',
        errors: [{ pointer: '/inputs/x/1' }],
      });
      expect((await infer('text', { x: [1] })).body.code).toBe('input_type_mismatch');
    });

    it('outputs write NaN as null and infinities as words; a prediction must be finite', async () => {
      expect((await infer('log', { x: [-1, 0, 1] })).body.outputs.y).toEqual([null, '-Infinity', 0]);
      expect((await infer('value', { x: [1] })).body.prediction).toEqual({ value: 0 });
      expect(await calls.post('/models/value/predict', { features: { x: 0 } })).toMatchObject({
        status: 422,
        body: { code: 'model_output_invalid' },
      });
      const batch = await calls.post('/predict/batch', {
        model: 'value',
        requests: [{ features: { x: 1 } }, { features: { x: -1 } }],
      });
      expect(batch.body.predictions).toMatchObject([
        { prediction: { value: 0 } },
        { error: { code: 'model_output_invalid' } },
      ]);
    });

    it('inputs that do not fit together are refused and leave the model able to answer', async () => {
      const answer = await infer('sum', { a: [1, 2, 3], b: [1, 2] });
      expect(answer.status).toBe(422);
      expect((await infer('sum', { a: [1, 2], b: [3, 4] })).body.outputs.sum).toEqual([4, 6]);
    });
  });

  describe('GET /v1/predictions/{id}', () => {
    it('shows to the key that made it what it took and gave, to the last digit', async () => {
      const key = await keyWith({ scopes: ['predict'] });
      const made = await calls.post('/predict', README_BODY, { key });
      const shown = await calls.get(`/v1/predictions/${made.body.id}`, { key });
      expect(shown.status).toBe(200);
      expect(shown.body).toMatchObject({
        id: made.body.id,
        prediction: made.body.prediction,
        request: JSON.parse(README_BODY) as unknown,
        answer: made.body,
      });
      expect(shown.text).toContain(README_BODY);
      expect(shown.body.recorded).toMatchObject({ request_id: made.requestId, status: 200, outcome: 'succeeded' });
    });

    it('shows a request as it was read: without a byte order mark', async () => {
      const made = await calls.post('/predict', `\ufeff${README_BODY}`);
      expect(made.status).toBe(200);
      const shown = await calls.get(`/v1/predictions/${made.body.id}`);
      expect(shown.text).toContain(`"request":${README_BODY}`);
    });

    it('a request that is malformed inside its features has an event that names no model', async () => {
      const refused = await calls.post('/predict', '{"model":"momentum","features":{"price":1e}}');
      expect(refused).toMatchObject({ status: 400, body: { code: 'malformed_json' } });
      const { body } = await calls.get(`/v1/audit/events?request_id=${refused.requestId}`);
      expect(body.items).toEqual([expect.objectContaining({ status: 400, reason: 'malformed_json' })]);
      expect(body.items[0]).not.toHaveProperty('model');
    });

    it('is 404 to another key without audit:read, and to everybody where there is none', async () => {
      const made = await calls.post('/predict', { features: FEATURES });
      const route = `/v1/predictions/${made.body.id}`;
      const other = await keyWith({ scopes: ['predict'] });
      const auditor = await keyWith({ scopes: ['audit:read'] });
      const stranger = await keyWith({ scopes: ['models:read'] });
      expect(await calls.get(route, { key: other })).toMatchObject({
        status: 404,
        body: { code: 'prediction_not_found' },
      });
      expect((await calls.get(route, { key: auditor })).body.answer).toEqual(made.body);
      expect(await calls.get(route, { key: stranger })).toMatchObject({ status: 403 });
      for (const id of ['01a1fe4f-7ecc-7000-ad22-6c15c302932f', 'nothing', '%00', "'--"])
        expect(await calls.get(`/v1/predictions/${id}`)).toMatchObject({
          status: 404,
          body: { code: 'prediction_not_found' },
        });
    });

    it.each([
      ['a byte-order mark', `\uFEFF${README_BODY}`],
      ['space around it', `\r\n\t ${README_BODY} \n`],
      ['line separators', '{"symbol":"\u2028\u2029 \ud83d\ude00","features":{"price":1,"volume":1,"rsi":1}}'],
      ['duplicate members', '{"symbol":"A","symbol":"B","features":{"price":1,"volume":1,"rsi":1}}'],
    ])('shows requests with %s', async (_, body) => {
      const made = await calls.post('/predict', body);
      expect(made.status).toBe(200);
      expect((await calls.get(`/v1/predictions/${made.body.id}`)).body).toMatchObject({
        answer: made.body,
        request: { features: { price: expect.any(Number) } },
      });
    });

    it('has the digest of a request that is too long to be kept, and its answer', async () => {
      const [kept, digestOnly] = [256 * 1024, 256 * 1024 + 1].map((bytes) => README_BODY.padEnd(bytes));
      const shown = [];
      for (const body of [kept, digestOnly]) {
        const made = await calls.post('/predict', body);
        expect(made.status).toBe(200);
        const { body: prediction } = await calls.get(`/v1/predictions/${made.body.id}`);
        expect(prediction).toMatchObject({ answer: made.body, inputs_digest: expect.stringMatching(DIGEST) });
        shown.push(prediction);
      }
      expect(shown[0]).toHaveProperty('request');
      expect(shown[1]).not.toHaveProperty('request');
      expect(shown[1]?.['inputs_digest']).not.toBe(shown[0]?.['inputs_digest']);
    });

    it.each([
      ['/predict/batch', { requests: [{ features: FEATURES }] }],
      ['/v1/infer', { model_id: 'fraud_detection', inputs: [{ feature1: 1, feature2: 2 }] }],
      ['/models/fraud_detection/predict', { inputs: { features: [[1, 2]] } }],
    ])('shows what %s answered', async (route, body) => {
      const { requestId, body: answer } = await calls.post(route, body);
      const [event] = await calls.events(`request_id=${requestId}`);
      expect(await calls.get(`/v1/predictions/${event?.['prediction_id'] as string}`)).toMatchObject({
        status: 200,
        body: { request: body, answer },
      });
    });
  });

  it('each of these requests left exactly one event', async () => {
    expect(await calls.unrecorded()).toEqual([]);
  });
});
