import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { createHash } from 'node:crypto';
import { inspectOnnx } from './inspect-onnx';
import { inspectOnnxFile } from './inspect-onnx-file';
import { OnnxLimits } from './onnx-limits';
import { planDerivedFile, writeDerivedFile, type DerivedFile } from './rewrite-onnx-file';
import { signatureOf } from './signature-of';
import { attribute, encodeModel, node, tensor, value, zipMapValue } from './testing/model-parts';
import { identityModel, zipMapModel } from './testing/models';
import { delimited } from './wire/encode-message';

const limits = new OnnxLimits();
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'sibyl-rewrite-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

let files = 0;
/** The plan for a model, and the file that it leads to. */
async function rewritten(model: Buffer): Promise<{ plan: DerivedFile; bytes: Buffer } | undefined> {
  const file = path.join(folder, `${++files}.onnx`);
  await writeFile(file, model);
  const inspected = await inspectOnnxFile(file);
  const plan = await planDerivedFile(file, inspected, limits);
  const written = await writeDerivedFile(file, `${file}.derived`, { model: inspected, limits });
  if (plan === undefined || written === undefined) {
    expect([plan, written]).toEqual([undefined, undefined]);
    return undefined;
  }
  const bytes = await readFile(`${file}.derived`);
  expect({ sha256: plan.sha256, bytes: plan.bytes }).toEqual(written);
  expect(written).toEqual({ sha256: createHash('sha256').update(bytes).digest('hex'), bytes: bytes.length });
  expect(await readFile(file)).toEqual(model);
  return { plan, bytes };
}

function zipMap(keys: ReturnType<typeof attribute>, parts: Partial<Parameters<typeof encodeModel>[0]> = {}): Buffer {
  return encodeModel({
    opsets: [['ai.onnx.ml', 3]],
    nodes: [node('ZipMap', ['scores'], ['answer'], { domain: 'ai.onnx.ml', attributes: [keys] })],
    inputs: [value('scores', 'FP32', [-1, 2])],
    outputs: [zipMapValue('answer')],
    ...parts,
  });
}

const STRINGS = attribute('classlabels_strings', { strings: ['no', 'ÿes'] });

describe('a ZipMap at the end', () => {
  it('is dropped, and its output is the tensor', async () => {
    const { plan, bytes } = (await rewritten(zipMapModel()))!;
    const derived = inspectOnnx(bytes);
    expect(signatureOf(derived)).toEqual({
      inputs: [{ name: 'features', datatype: 'FP32', shape: [-1, 1] }],
      outputs: [
        { name: 'output_label', datatype: 'INT64', shape: [-1] },
        { name: 'output_probability', datatype: 'FP32', shape: [-1, 2] },
      ],
    });
    expect(signatureOf(plan.model)).toEqual(signatureOf(derived));
    expect(derived.operators).toEqual({ ArgMax: 1, Gemm: 1, Identity: 1, Softmax: 1 });
    expect(plan.changes).toEqual([
      {
        kind: 'zipmap_dropped',
        pointer: '/graph/output/1',
        reason: expect.stringContaining('its keys are the classes'),
        output: 'output_probability',
        classes: [0, 1],
      },
    ]);
  });

  it('gives the same bytes each time, and in later versions too: what is recorded of it must be found again', async () => {
    const { plan } = (await rewritten(zipMapModel()))!;
    expect(plan).toMatchObject((await rewritten(zipMapModel()))!.plan);
    expect([plan.sha256, plan.bytes]).toEqual([
      'ff8095d1f7c069eacd83a31ce77ec1003c7fab903d307e4b8d275fc25d3fcb6d',
      379,
    ]);
  });

  it('leaves all else as it is: what nobody knows, and weights that are read through many windows', async () => {
    const weights = Buffer.alloc(3_000_000, 7);
    const unknown = delimited(1000, Buffer.from('of a later version'));
    const model = zipMap(STRINGS, { initializers: [tensor('w', 'UINT8', [weights.length], weights)] });
    const { bytes } = (await rewritten(Buffer.concat([model, unknown])))!;
    expect(bytes.indexOf(weights)).toBeGreaterThan(0);
    expect(bytes.indexOf(unknown)).toBeGreaterThan(0);
  });

  it('keeps texts as classes, and integers with all their digits', async () => {
    const classes = async (keys: ReturnType<typeof attribute>) =>
      (await rewritten(zipMap(keys)))!.plan.changes[0]?.classes;
    expect(await classes(STRINGS)).toEqual(['no', 'ÿes']);
    expect(await classes(attribute('classlabels_int64s', { ints: [-3, 2n ** 62n + 1n] }))).toEqual([
      -3,
      '4611686018427387905',
    ]);
  });

  it('brings the default operators where the file imports none', async () => {
    const { bytes } = (await rewritten(zipMap(STRINGS)))!;
    expect(inspectOnnx(bytes).opsets).toEqual([
      { domain: 'ai.onnx.ml', version: 3 },
      { domain: '', version: 8 },
    ]);
  });

  it('takes the type that the file declares of the tensor', async () => {
    const model = zipMap(STRINGS);
    const typed = encodeModel({
      opsets: [
        ['', 17],
        ['ai.onnx.ml', 3],
      ],
      nodes: [node('ZipMap', ['scores'], ['answer'], { domain: 'ai.onnx.ml', attributes: [STRINGS] })],
      inputs: [value('scores', 'FP32', ['rows', 2])],
      outputs: [zipMapValue('answer')],
      values: [value('scores', 'FP32', ['rows', 2])],
    });
    expect((await rewritten(model))!.plan.model.outputs[0]?.dimensionNames).toEqual(['', '']);
    const { plan, bytes } = (await rewritten(typed))!;
    expect(plan.model.outputs[0]).toMatchObject({ shape: [-1, 2], dimensionNames: ['rows', ''] });
    expect(inspectOnnx(bytes).outputs).toEqual(plan.model.outputs);
  });

  it('that is no output stays, and so does a list of dictionaries that nothing here makes', async () => {
    const sequence = encodeModel({
      opsets: [
        ['', 17],
        ['ai.onnx.ml', 3],
      ],
      nodes: [node('Whatever', ['x'], ['answer'])],
      inputs: [value('x', 'FP32', [-1])],
      outputs: [zipMapValue('answer')],
    });
    expect(await rewritten(sequence)).toBeUndefined();
    const inner = zipMap(STRINGS, { outputs: [zipMapValue('another')] });
    expect(await rewritten(inner)).toBeUndefined();
  });

  it('without classes stays, and of two that fill one output only the first is dropped', async () => {
    expect(await rewritten(zipMap(attribute('classlabels_int64s', { ints: [] })))).toBeUndefined();
    const parts = { domain: 'ai.onnx.ml', attributes: [STRINGS] };
    const twice = [node('ZipMap', ['scores'], ['answer'], parts), node('ZipMap', ['scores'], ['answer'], parts)];
    const { plan, bytes } = (await rewritten(zipMap(STRINGS, { nodes: twice })))!;
    expect(plan.changes).toHaveLength(1);
    expect(inspectOnnx(bytes).operators).toEqual({ Identity: 1, 'ai.onnx.ml:ZipMap': 1 });
  });

  it('drops every one of several', async () => {
    const zip = (from: string, to: string) =>
      node('ZipMap', [from], [to], { domain: 'ai.onnx.ml', attributes: [STRINGS] });
    const model = zipMap(STRINGS, {
      nodes: [zip('scores', 'a'), zip('scores', 'b')],
      outputs: [zipMapValue('b'), zipMapValue('a')],
    });
    const { plan, bytes } = (await rewritten(model))!;
    expect(plan.changes.map(({ output, pointer }) => [output, pointer])).toEqual([
      ['a', '/graph/output/1'],
      ['b', '/graph/output/0'],
    ]);
    expect(signatureOf(inspectOnnx(bytes)).outputs.map(({ name }) => name)).toEqual(['b', 'a']);
  });
});

describe('a text model', () => {
  const normalizer = (texts: Record<string, string>): Buffer => {
    const attributes = Object.entries(texts).map(([name, text]) => attribute(name, { s: Buffer.from(text) }));
    return encodeModel({
      nodes: [node('StringNormalizer', ['x'], ['y'], { attributes })],
      inputs: [value('x', 'BYTES', [-1])],
      outputs: [value('y', 'BYTES', [-1])],
    });
  };

  it.each([
    ['asks for en_US', { locale: 'en_US', case_change_action: 'LOWER' }],
    ['asks for en_US.UTF-8', { case_change_action: 'UPPER', locale: 'en_US.UTF-8' }],
    ['names no locale, which is en_US', { case_change_action: 'LOWER' }],
  ])('that %s gets a locale that is on every machine', async (_name, texts) => {
    const { plan, bytes } = (await rewritten(normalizer(texts)))!;
    expect(plan.changes).toMatchObject([{ kind: 'locale_replaced', pointer: '/graph/node/0' }]);
    expect(bytes.includes('C.UTF-8')).toBe(true);
    expect(bytes.includes('en_US')).toBe(false);
    expect(inspectOnnx(bytes).operators).toEqual({ StringNormalizer: 1 });
  });

  it.each([
    ['asks for another language', { locale: 'tr_TR', case_change_action: 'LOWER' }],
    ['asks for C', { locale: 'C', case_change_action: 'LOWER' }],
    ['changes no case', { locale: 'en_US', case_change_action: 'NONE' }],
  ])('that %s stays as it is', async (_name, texts) => {
    expect(await rewritten(normalizer(texts))).toBeUndefined();
  });
});

it('leaves a model alone that needs nothing', async () => {
  expect(await rewritten(identityModel())).toBeUndefined();
});
