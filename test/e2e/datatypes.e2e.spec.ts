import {
  attribute,
  encodeModel,
  identityModel,
  node,
  tensor,
  unaryModel,
  value,
  type Element,
} from '@sibyl/onnx/testing';
import { modelPackage } from '../support/model-packages';
import { RecordedClient, type Reply } from '../support/recorded-client';
import { startServer, type TestServer } from '../support/server.mjs';

/** JSON texts, so that no digit is lost to the test's own reader: what goes in, and what must come out. */
type Case = readonly [what: string, sent: string, answered?: string];

const FLOATS: readonly Case[] = [['whole numbers and signs', '[0,1,-1,2048]']];

const CASES: readonly (readonly [Element, readonly Case[]])[] = [
  [
    'FP32',
    [
      ...FLOATS,
      ['what a double has more of', '[0.1,16777217]', '[0.10000000149011612,16777216]'],
      ['its ends', '[3.4028234663852886e38,-1.401298464324817e-45]', '[3.4028234663852886e+38,-1.401298464324817e-45]'],
    ],
  ],
  [
    'FP64',
    [
      ...FLOATS,
      ['all digits of a double', '[0.1,1.7976931348623157e308,5e-324]', '[0.1,1.7976931348623157e+308,5e-324]'],
    ],
  ],
  [
    'FP16',
    [
      ...FLOATS,
      ['what a double has more of', '[0.1,65504,5.960464477539063e-8]', '[0.0999755859375,65504,5.960464477539063e-8]'],
    ],
  ],
  ['INT8', [['its ends', '[-128,127,0]']]],
  ['INT16', [['its ends', '[-32768,32767,0]']]],
  ['INT32', [['its ends', '[-2147483648,2147483647,0]']]],
  [
    'INT64',
    [
      ['its ends', '[-9223372036854775808,9223372036854775807]'],
      ['what no double holds', '[9007199254740993,-9007199254740993]'],
      ['digits in strings', '["9223372036854775807","-1"]', '[9223372036854775807,-1]'],
    ],
  ],
  ['UINT8', [['its ends', '[0,255]']]],
  ['UINT16', [['its ends', '[0,65535]']]],
  ['UINT32', [['its ends', '[0,4294967295]']]],
  [
    'UINT64',
    [
      ['its ends', '[0,18446744073709551615]'],
      ['what INT64 does not hold', '[9223372036854775808]'],
      ['digits in strings', '["18446744073709551615"]', '[18446744073709551615]'],
    ],
  ],
  [
    'BOOL',
    [
      ['both', '[true,false]'],
      ['numbers for them', '[1,0]', '[true,false]'],
    ],
  ],
  [
    'BYTES',
    [
      ['texts', '["a","",""]'],
      [
        'all planes and escapes',
        '["äöü €","😀","漢字","a\\\\b\\"c\\n\\u0001","\\u2028"]',
        '["äöü €","😀","漢字","a\\\\b\\"c\\n\\u0001","\u2028"]',
      ],
      ['a long text', JSON.stringify(['ö'.repeat(70_000)])],
    ],
  ],
];

const OUTSIDE: readonly (readonly [Element, string, string])[] = [
  ['INT8', '[128]', 'input_out_of_range'],
  ['UINT8', '[-1]', 'input_out_of_range'],
  ['INT16', '[32768]', 'input_out_of_range'],
  ['UINT16', '[65536]', 'input_out_of_range'],
  ['INT32', '[2147483648]', 'input_out_of_range'],
  ['UINT32', '[4294967296]', 'input_out_of_range'],
  ['INT64', '[9223372036854775808]', 'input_out_of_range'],
  ['INT64', '[1.5]', 'input_type_mismatch'],
  ['INT64', '[null]', 'input_missing'],
  ['UINT64', '[18446744073709551616]', 'input_out_of_range'],
  ['UINT64', '["-1"]', 'input_out_of_range'],
  ['FP16', '[65520]', 'input_out_of_range'],
  ['FP32', '[1e39]', 'input_out_of_range'],
  ['FP64', '[1e309]', 'non_finite_input'],
  ['FP32', '["1"]', 'input_type_mismatch'],
  ['BOOL', '[2]', 'input_type_mismatch'],
  ['BYTES', '[1]', 'input_type_mismatch'],
  ['BYTES', '["a\\u0000b"]', 'input_not_allowed'],
  ['BYTES', '["\\ud83d"]', 'input_not_allowed'],
];

/** A name for a model of this element. */
const nameOf = (element: Element, suffix = ''): string => `identity-${element}${suffix}`.toLowerCase();

describe('every datatype', () => {
  let server: TestServer;
  let client: RecordedClient;

  beforeAll(async () => {
    server = await startServer({ env: { SIBYL_MODELS: '' } });
    client = new RecordedClient(server, 'types');
    for (const [element] of CASES) await register(nameOf(element), identityModel(element, [-1]));
  }, 120_000);
  afterAll(() => server.stop(), 30_000);

  async function register(name: string, model: Buffer): Promise<void> {
    const reply = await client.upload(name, modelPackage(model, { name, version: '1' }));
    expect([name, reply.status, reply.body.errors]).toEqual([name, 201, undefined]);
  }

  /** The status and the text of the answer. */
  async function ask(name: string, inputs: string): Promise<{ status: number; text: string }> {
    const answer = await fetch(`${server.url}/models/${name}/predict`, {
      method: 'POST',
      headers: { 'x-api-key': server.adminKey, 'content-type': 'application/json' },
      body: `{"inputs":${inputs}}`,
    });
    return { status: answer.status, text: await answer.text() };
  }

  /** The text of the outputs in an answer. */
  async function outputs(name: string, inputs: string): Promise<string> {
    const { status, text } = await ask(name, inputs);
    if (status !== 200) return `${status} ${text}`;
    const from = text.indexOf('"outputs":') + '"outputs":'.length;
    return text.slice(from).replace(/,"(prediction|model_info)":.*$/s, '');
  }

  describe.each(CASES)('%s', (element, cases) => {
    it.each(cases)('keeps %s', async (_, sent, answered = sent) => {
      expect(await outputs(nameOf(element), `{"x":${sent}}`)).toBe(`{"y":${answered}}`);
    });
  });

  it.each(OUTSIDE)('%s does not take %s: 422 %s', async (element, sent, code) => {
    const { status, text } = await ask(nameOf(element), `{"x":${sent}}`);
    expect([status, (JSON.parse(text) as Reply['body']).code]).toEqual([422, code]);
  });

  it.each<[string, number]>([
    ['BFLOAT16', 16],
    ['COMPLEX64', 14],
    ['FLOAT8E4M3FN', 17],
    ['INT4', 22],
  ])('%s is none: its model is refused with the reason', async (what, element) => {
    const name = nameOf(element);
    const reply = await client.upload(name, modelPackage(identityModel(element, [-1]), { name, version: '1' }));
    expect(reply).toMatchObject({ status: 422, body: { code: 'model_rejected' } });
    expect(JSON.stringify(reply.body.errors)).toMatch(new RegExp(`${what}|element type`, 'i'));
  });

  describe('dimensions', () => {
    it.each<[string, readonly (number | string)[], string, string?]>([
      ['none', [], '7'],
      ['one that is fixed', [3], '[1,2,3]'],
      ['one of any size, with nothing in it', ['n'], '[]'],
      ['two, the second fixed, without rows', ['n', 4], '[]'],
      ['two, of any size, rows of nothing', ['n', 'm'], '[[],[]]'],
      ['a fixed zero', ['n', 0], '[[],[]]'],
      ['a leading zero', [0, 2], '[]'],
      ['four', [1, 'n', 2, 1], '[[[[1],[2]],[[3],[4]]]]'],
      ['eight', [1, 1, 1, 1, 1, 1, 1, 'n'], '[[[[[[[[1,2]]]]]]]]'],
    ])('%s', async (what, shape, sent) => {
      const name = `shape-${what.replaceAll(/\W+/g, '-')}`;
      await register(name, identityModel('INT64', shape));
      expect(await outputs(name, `{"x":${sent}}`)).toBe(`{"y":${sent}}`);
    });

    it.each<[string, readonly (number | string)[], string]>([
      ['too few', [3], '[1,2]'],
      ['too many', [3], '[1,2,3,4]'],
      ['a number for a row', [3], '1'],
      ['a row for a number', [], '[1]'],
      ['ragged rows', ['n', 'm'], '[[1,2],[3]]'],
      ['a row too deep', ['n'], '[[1]]'],
    ])('%s: 422', async (what, shape, sent) => {
      const name = `misshapen-${what.replaceAll(/\W+/g, '-')}`;
      await register(name, identityModel('INT64', shape));
      const { status, text } = await ask(name, `{"x":${sent}}`);
      expect([status, (JSON.parse(text) as Reply['body']).code]).toEqual([422, 'input_shape_mismatch']);
    });
  });

  it('a call without rows is refused where the model cannot compute it, before it runs', async () => {
    const model = encodeModel({
      nodes: [node('Gather', ['x', 'first'], ['y'])],
      initializers: [tensor('first', 'INT64', [], [0])],
      inputs: [value('x', 'FP32', ['n'])],
      outputs: [value('y', 'FP32', [])],
    });
    await register('first', model);
    expect(await outputs('first', '{"x":[5,6]}')).toBe('{"y":5}');
    expect(await ask('first', '{"x":[]}')).toMatchObject({
      status: 422,
      text: expect.stringContaining('no rows') as string,
    });
    const { body } = await client.get('/v1/models/first/versions/1');
    expect(body.report.trial.answers_no_rows).toBe(false);
    expect(await outputs(nameOf('FP32'), '{"x":[]}')).toBe('{"y":[]}');
  });

  it.each(['FP16', 'FP32', 'FP64'] as const)('%s that may be missing comes back as null', async (element) => {
    const name = nameOf(element, '-nullable');
    const manifest = {
      inputs: [{ name: 'x', datatype: element, shape: [-1, 2], columns: ['a', 'b'] }],
      features: [
        { name: 'a', nullable: true },
        { name: 'b', nullable: true },
      ],
    };
    const model = identityModel(element, [-1, 2]);
    const reply = await client.upload(name, modelPackage(model, { name, version: '1', ...manifest }));
    expect([reply.status, reply.body.errors]).toEqual([201, undefined]);
    expect(await outputs(name, '{"x":[[null,1],[2,null]]}')).toBe('{"y":[[null,1],[2,null]]}');
  });

  it('several inputs and outputs of different types, sizes and ranks, scalars among them', async () => {
    const model = encodeModel({
      nodes: [
        node('Identity', ['a'], ['wide']),
        node('Identity', ['b'], ['text']),
        node('Identity', ['c'], ['flags']),
        node('Size', ['b'], ['count']),
        node('ReduceSum', ['d'], ['sum'], { attributes: [attribute('keepdims', { i: 0 })] }),
        node('Shape', ['d'], ['shape']),
      ],
      inputs: [
        value('a', 'INT64', ['n']),
        value('b', 'BYTES', ['m', 2]),
        value('c', 'BOOL', []),
        value('d', 'FP64', ['k', 'l']),
      ],
      outputs: [
        value('wide', 'INT64', ['n']),
        value('text', 'BYTES', ['m', 2]),
        value('flags', 'BOOL', []),
        value('count', 'INT64', []),
        value('sum', 'FP64', []),
        value('shape', 'INT64', [2]),
      ],
    });
    await register('many', model);
    const inputs = '{"d":[[0.5],[0.25]],"c":true,"b":[["a","b"],["c",""],["",""]],"a":[9007199254740993]}';
    expect(await outputs('many', inputs)).toBe(
      '{"wide":[9007199254740993],"text":[["a","b"],["c",""],["",""]],"flags":true,"count":6,"sum":0.75,"shape":[2,1]}',
    );
    // Without rows each of them still has its shape.
    expect(await outputs('many', '{"a":[],"b":[],"c":false,"d":[[]]}')).toBe(
      '{"wide":[],"text":[],"flags":false,"count":0,"sum":0,"shape":[1,0]}',
    );
  });

  it('NaN is null, and infinities are texts', async () => {
    await register('logarithm', unaryModel('Log'));
    expect(await outputs('logarithm', '{"x":[1,-1,0]}')).toBe('{"y":[0,null,"-Infinity"]}');
    await register('reciprocal', unaryModel('Reciprocal'));
    expect(await outputs('reciprocal', '{"x":[0,-0,2]}')).toBe('{"y":["Infinity","-Infinity",0.5]}');
  });

  it('a model without inputs answers what it holds', async () => {
    const model = encodeModel({
      nodes: [node('Identity', ['held'], ['y'])],
      initializers: [tensor('held', 'UINT64', [2], [0n, 18446744073709551615n])],
      inputs: [],
      outputs: [value('y', 'UINT64', [2])],
    });
    await register('constant', model);
    expect(await outputs('constant', '{}')).toBe('{"y":[0,18446744073709551615]}');
  });

  it('each of all these requests has exactly one event with the status of its answer', async () => {
    expect(await client.unrecorded()).toEqual([]);
  });
});
