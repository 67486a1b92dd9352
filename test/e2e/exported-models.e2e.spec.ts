import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { attribute, encodeModel, node, tensor, value, zipMapModel, zipMapValue } from '@sibyl/onnx/testing';
import { RecordedClient, type Reply } from '../support/recorded-client';
import { startServer, type TestServer } from '../support/server.mjs';

/** Files as exporters leave them, without a manifest: what a server makes of them by what they say. */
let server: TestServer;
let client: RecordedClient;
beforeAll(async () => {
  server = await startServer({ env: { SIBYL_MODELS: '' } });
  client = new RecordedClient(server, 'exports');
});
afterAll(() => server.stop());

function register(name: string, model: Buffer): Promise<Reply> {
  return client.upload(name, new Map([['model.onnx', model]]), { version: '1' });
}

const predict = (model: string, features: object): Promise<Reply> => client.post('/predict', { model, features });
const infer = (model: string, inputs: object): Promise<Reply> => client.post(`/models/${model}/predict`, { inputs });

/** `scores` of two features, `answer` a list of dictionaries, and with `labels` the better one's name. */
function zipped(keys: ReturnType<typeof attribute>): Buffer {
  return encodeModel({
    opsets: [
      ['', 17],
      ['ai.onnx.ml', 3],
    ],
    nodes: [
      node('Softmax', ['x'], ['scores'], { attributes: [attribute('axis', { i: 1 })] }),
      node('ZipMap', ['scores'], ['answer'], { domain: 'ai.onnx.ml', attributes: [keys] }),
    ],
    inputs: [value('x', 'FP32', ['N', 2])],
    outputs: [zipMapValue('answer')],
  });
}

/** `y` is `2 x`, `rows` at a time and no other number. */
function fixedModel(rows: number, normalized = false): Buffer {
  const axes = { attributes: [attribute('axes', { ints: [0] }), attribute('keepdims', { i: 1 })] };
  return encodeModel({
    nodes: normalized
      ? [node('ReduceMean', ['x'], ['mean'], axes), node('Sub', ['x', 'mean'], ['y'])]
      : [node('Mul', ['x', 'two'], ['y'])],
    initializers: normalized ? [] : [tensor('two', 'FP32', [1], [2])],
    inputs: [value('x', 'FP32', [rows, 2])],
    outputs: [value('y', 'FP32', [rows, 2])],
  });
}

describe('a ZipMap at the end', () => {
  const model = zipMapModel();
  let version: Reply;
  beforeAll(async () => {
    expect(await register('zip', model)).toMatchObject({ status: 201 });
    version = await client.call('GET', '/v1/models/zip/versions/1');
  });

  it('is dropped: the version says so, with the digest of what runs, and keeps the one of what came', () => {
    const sha256 = createHash('sha256').update(model).digest('hex');
    expect(version.body).toMatchObject({
      files: [{ path: 'model.onnx', sha256, bytes: model.length }],
      signature: {
        outputs: [{ name: 'output_label' }, { name: 'output_probability', datatype: 'FP32', shape: [-1, 2] }],
      },
      derived: {
        file: 'model.onnx',
        sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
        changes: [
          { kind: 'zipmap_dropped', output: 'output_probability', classes: [0, 1], reason: expect.any(String) },
        ],
      },
    });
  });

  it('is in the event of the registration', async () => {
    const [event] = await client.events('action=model.register&model=zip');
    const { sha256 } = version.body.derived;
    expect(event).toMatchObject({ changes: { derived: { sha256, changes: [{ kind: 'zipmap_dropped' }] } } });
  });

  it('answers the label as the model has it, with its probability', async () => {
    const reply = await predict('zip', { features: 1 });
    expect(reply).toMatchObject({ status: 200, body: { prediction: { label: 0 } } });
    expect(reply.body.prediction.probability).toBeCloseTo(1 / (1 + Math.exp(-2)), 5);
  });

  it('answers a tensor under its name', async () => {
    const { body } = await infer('zip', { features: [[0], [1]] });
    expect(body.outputs).toMatchObject({ output_label: [0, 0], output_probability: [[0.5, 0.5], expect.any(Array)] });
  });

  it('gives the classes where nothing else does', async () => {
    const keys = attribute('classlabels_strings', { strings: ['no', 'jä'] });
    expect(await register('texts', zipped(keys))).toMatchObject({ status: 201 });
    expect((await predict('texts', { x: [0, 3] })).body.prediction).toMatchObject({ label: 'jä' });
    expect((await predict('texts', { x: [3, 0] })).body.prediction).toMatchObject({ label: 'no' });
  });

  it('is dropped again when the file that runs is gone or was changed', async () => {
    const folder = path.join(server.dataDir, 'artifacts/derived', String(version.body.digest).slice(7));
    const file = path.join(folder, 'model.onnx');
    const whole = fs.readFileSync(file);
    for (const harm of [
      () => fs.rmSync(folder, { recursive: true }),
      () => {
        fs.chmodSync(file, 0o600);
        fs.writeFileSync(file, Buffer.alloc(whole.length));
      },
    ]) {
      expect(await client.call('DELETE', '/v1/models/zip/1')).toMatchObject({ status: 200 });
      harm();
      expect(await predict('zip', { features: 1 })).toMatchObject({ status: 200, body: { prediction: { label: 0 } } });
      expect(fs.readFileSync(file)).toEqual(whole);
    }
  });
});

describe('a fixed batch', () => {
  it.each([1, 3])('of %i answers any number of rows', async (batch) => {
    const name = `fixed-${batch}`;
    expect(await register(name, fixedModel(batch))).toMatchObject({ status: 201 });
    for (const rows of [1, 2, 3, 7]) {
      const x = Array.from({ length: rows }, (_, row) => [row, -row]);
      const doubled = x.map((values) => values.map((each) => 2 * each + 0));
      expect(await infer(name, { x })).toMatchObject({ status: 200, body: { outputs: { y: doubled } } });
    }
    expect((await predict(name, { x: [1, 2] })).body.prediction).toEqual({ outputs: { y: [2, 4] } });
    const requests = [5, 6, 'seven', 8].map((each) => ({ features: { x: [each, 0] } }));
    const { body } = await client.post('/predict/batch', { model: name, requests });
    expect(body.predictions).toMatchObject([
      { prediction: { outputs: { y: [10, 0] } } },
      { prediction: { outputs: { y: [12, 0] } } },
      { error: { code: 'input_type_mismatch' } },
      { prediction: { outputs: { y: [16, 0] } } },
    ]);
  });

  it('whose rows depend on each other takes what it takes', async () => {
    expect(await register('mean', fixedModel(3, true))).toMatchObject({ status: 201 });
    const three = [
      [1, 2],
      [2, 3],
      [3, 4],
    ];
    expect((await infer('mean', { x: three })).body.outputs.y[0]).toEqual([-1, -1]);
    expect(await infer('mean', { x: three.slice(1) })).toMatchObject({
      status: 422,
      body: { code: 'input_shape_mismatch' },
    });
  });
});

describe('missing values', () => {
  it('are taken where the file says what they lead to, and forgotten ones are not taken for them', async () => {
    const ints = (name: string, ...values: number[]) => attribute(name, { ints: values });
    const floats = (name: string, ...values: number[]) => attribute(name, { floats: values });
    // A stump: below 1 or missing 10, else 20.
    const tree = encodeModel({
      opsets: [['ai.onnx.ml', 3]],
      nodes: [
        node('TreeEnsembleRegressor', ['x'], ['y'], {
          domain: 'ai.onnx.ml',
          attributes: [
            ...[ints('nodes_treeids', 0, 0, 0), ints('nodes_nodeids', 0, 1, 2), ints('nodes_featureids', 0, 0, 0)],
            ...[ints('nodes_truenodeids', 1, 0, 0), ints('nodes_falsenodeids', 2, 0, 0)],
            ...[ints('nodes_missing_value_tracks_true', 1, 0, 0), floats('nodes_values', 1, 0, 0)],
            attribute('nodes_modes', { strings: ['BRANCH_LT', 'LEAF', 'LEAF'] }),
            ...[ints('target_treeids', 0, 0), ints('target_nodeids', 1, 2), ints('target_ids', 0, 0)],
            ...[floats('target_weights', 10, 20), attribute('n_targets', { i: 1 })],
          ],
        }),
      ],
      inputs: [value('x', 'FP32', [-1, 1])],
      outputs: [value('y', 'FP32', [-1, 1])],
    });
    expect(await register('stump', tree)).toMatchObject({ status: 201 });
    expect((await infer('stump', { x: [[null], [0], [5]] })).body.outputs).toEqual({ y: [[10], [10], [20]] });
    expect((await predict('stump', { x: null })).body.prediction).toEqual({ value: 10 });
    expect(await predict('stump', {})).toMatchObject({ status: 422, body: { code: 'incomplete_features' } });
    expect(await infer('fixed-1', { x: [[null, 1]] })).toMatchObject({ status: 422, body: { code: 'input_missing' } });
  });
});
