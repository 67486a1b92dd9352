import { inspectOnnx } from './inspect-onnx';
import type { OnnxLimits } from './onnx-limits';
import { delimited, encodeMessage, varint } from './wire/encode-message';
import { faultsOf, limitsWith } from './testing/faults-of';
import { constantOfShapeModel, functionBombModel, hugeDimensionsModel, nestedIfModel } from './testing/hostile-models';
import { attribute, encodeModel, modelFields, node, tensor, value, type ModelParts } from './testing/model-parts';
import { customDomainModel, functionModel, identityModel } from './testing/models';

const OUTPUTS = [value('y', 'FP32', [-1])];

/** Of a function with one input and one output. */
const PARAMETERS = { input: ['x'], output: ['y'] };

function refuse(bytes: Uint8Array, limits?: Partial<OnnxLimits>): ReturnType<typeof faultsOf> {
  return faultsOf(() => inspectOnnx(bytes, limits === undefined ? undefined : limitsWith(limits)));
}

function refuseParts(parts: ModelParts, limits?: Partial<OnnxLimits>): ReturnType<typeof faultsOf> {
  return refuse(encodeModel({ outputs: OUTPUTS, ...parts }), limits);
}

describe('inspectOnnx refuses what is no readable ONNX file', () => {
  it('an empty file', () => {
    expect(refuse(Buffer.alloc(0))).toEqual([{ pointer: '', expected: 'an ONNX file', received: 'an empty file' }]);
  });

  it('zeros, and random bytes', () => {
    expect(refuse(Buffer.alloc(100))[0]?.received).toContain('impossible number');
    expect(refuse(Buffer.from('0f3e9a1c77', 'hex'))).toHaveLength(1);
  });

  it('protobuf that is something else', () => {
    expect(refuse(delimited(2, Buffer.from('layer')))).toEqual([expect.objectContaining({ expected: 'an ONNX file' })]);
  });

  it('a model that is cut off anywhere', () => {
    const bytes = identityModel();
    for (let length = 0; length < bytes.length; length++) expect(refuse(bytes.subarray(0, length))).not.toEqual([]);
  });

  it('a field laid out as another kind, saying where', () => {
    const graph = delimited(1, Buffer.from([0x28, 0x01]));
    expect(refuse(delimited(7, graph))).toEqual([
      expect.objectContaining({ pointer: '/graph/node/0', received: expect.stringContaining('attribute') }),
    ]);
  });

  it('groups, which readers disagree about', () => {
    expect(refuse(Buffer.from([0xfb, 0x06, 0xfc, 0x06]))[0]?.received).toContain('no field type 3');
  });

  it('a list of floats that ends within one, and a number that is cut off by the end of its message', () => {
    const floats = delimited(7, delimited(5, delimited(4, Buffer.alloc(5))));
    expect(refuse(floats)[0]?.received).toContain('ends within a number');
    expect(refuse(Buffer.from([0x3a, 0x03, 0xa5, 0x06, 0x00]))[0]?.received).toContain('cut off');
  });

  it('a length that does not fit', () => {
    expect(refuse(Buffer.concat([Buffer.from([0x3a]), varint(2n ** 40n)]))[0]?.received).toContain(
      '1099511627776 bytes',
    );
    expect(refuse(Buffer.concat([Buffer.from([0x3a]), varint(-1)]))[0]?.received).toContain('does not fit');
  });

  it('a second graph, which the runtime would merge with the first', () => {
    const second = delimited(7, delimited(1, Buffer.alloc(0)));
    expect(refuse(Buffer.concat([identityModel(), second]))[0]).toMatchObject({
      received: expect.stringContaining('the field graph appears twice'),
    });
  });

  it('messages nested deeper than protobuf readers go', () => {
    let type: Buffer = Buffer.alloc(0);
    for (let depth = 0; depth < 60; depth++) type = delimited(9, delimited(1, type));
    expect(refuse(delimited(7, delimited(13, delimited(2, type))))[0]?.received).toContain('nested deeper than 100');
  });
});

describe('inspectOnnx refuses models that do not say what they must', () => {
  it('without outputs, operator set or version: all three reasons at once', () => {
    const pointers = refuse(encodeModel({ irVersion: 0, opsets: [] })).map(({ pointer }) => pointer);
    expect(pointers).toEqual(['/ir_version', '/opset_import', '/graph/output']);
  });

  it('names that are empty, doubled, not UTF-8 or not printable', () => {
    const inputs = [value('', 'FP32'), value('x', 'FP32'), value('x', 'FP32'), value('a\0b', 'FP32')];
    const broken = { ...value('z', 'FP32'), name: Buffer.from([0xc3, 0x28]) };
    expect(refuseParts({ inputs: [...inputs, broken, value('__proto__', 'FP32')] })).toEqual([
      expect.objectContaining({ pointer: '/graph/input/4', expected: 'texts in UTF-8' }),
      expect.objectContaining({ pointer: '/graph/input/0', received: '""' }),
      expect.objectContaining({ pointer: '/graph/input/2', received: '"x" again' }),
      expect.objectContaining({ pointer: '/graph/input/3', received: '"a\\u0000b"' }),
      expect.objectContaining({ pointer: '/graph/input/5', received: '"__proto__"' }),
    ]);
  });

  it('doubled outputs, initializers, metadata, and operator sets in two versions', () => {
    expect(refuseParts({ outputs: [...OUTPUTS, ...OUTPUTS] })).toHaveLength(1);
    const weight = tensor('w', 'FP32', [1], [1]);
    const sparse = { values: weight, indices: tensor('', 'INT64', [1], [0]), dims: [1] };
    const initializers = refuseParts({ initializers: [weight, weight], sparseInitializers: [sparse] });
    expect(initializers.map(({ pointer }) => pointer)).toEqual(['/graph/initializer/1', '/graph/sparse_initializer/0']);
    const metadata_props = ['a', 'b'].map((text) => ({ key: 'k', value: text }));
    const twice = encodeMessage('ModelProto', { ...modelFields({ outputs: OUTPUTS }), metadata_props });
    expect(refuse(twice)).toEqual([expect.objectContaining({ pointer: '/metadata_props/1', received: '"k" again' })]);
    const opsets = (version: number): ModelParts => ({ opsets: [['', 17] as const, ['ai.onnx', version] as const] });
    expect(refuseParts(opsets(6))[0]).toMatchObject({
      pointer: '/opset_import/1',
      received: 'versions 17 and 6 of "ai.onnx"',
    });
    expect(inspectOnnx(encodeModel({ outputs: OUTPUTS, ...opsets(17) })).opsets).toHaveLength(2);
  });

  it('texts that are none: of operators, of metadata; but not the character that stands for such bytes', () => {
    const bytes = Buffer.from([0x52, 0xff]);
    expect(refuseParts({ nodes: [{ op_type: bytes }] })[0]).toMatchObject({ pointer: '/graph/node/0' });
    const metadata_props = [{ key: 'k', value: bytes }];
    const broken = encodeMessage('ModelProto', { ...modelFields({ outputs: OUTPUTS }), metadata_props });
    expect(refuse(broken)[0]).toMatchObject({ pointer: '/metadata_props/0', expected: 'texts in UTF-8' });
    expect(inspectOnnx(encodeModel({ outputs: [value('\ufffd', 'FP32')] })).outputs[0]?.name).toBe('\ufffd');
  });

  it.each([
    [16, 'tensor(bfloat16)'],
    [17, 'tensor(float8e4m3fn)'],
    [14, 'tensor(complex64)'],
    [22, 'tensor(int4)'],
    [0, 'tensor(unknown type 0)'],
    [99, 'tensor(unknown type 99)'],
  ])('inputs and outputs of element type %d', (element, received) => {
    const faults = refuse(identityModel(element, [1]));
    expect(faults.map((fault) => [fault.pointer, fault.received])).toEqual([
      ['/graph/input/0', received],
      ['/graph/output/0', received],
    ]);
  });

  it('values without a type, or with two', () => {
    const two = { name: 'z', type: { tensor_type: { elem_type: 1 }, sequence_type: {} } };
    expect(refuseParts({ outputs: [{ name: 'y' }, two] }).map(({ received }) => received)).toEqual([
      'tensor(float) and seq(?)',
      'none',
    ]);
  });

  it('shapes that nobody could send', () => {
    expect(refuse(identityModel('FP32', [-1, 2 ** 31, 2 ** 31]))).toHaveLength(2);
    expect(refuse(identityModel('FP32', [1, 1, 1]), { rank: 2 })[0]?.expected).toBe('at most 2 dimensions');
  });
});

describe('inspectOnnx refuses operators that would run foreign code', () => {
  it('of unknown domains, wherever they stand, each once', () => {
    const branch = {
      g: modelFields({ nodes: [node('Evil', [], ['y'], { domain: 'com.evil' })], outputs: OUTPUTS }).graph,
    };
    const evil = node('If', ['c'], ['y'], { attributes: [attribute('then_branch', branch as never)] });
    expect(refuseParts({ nodes: [evil, evil, node('X', [], [], { domain: 'other' })] })).toEqual([
      expect.objectContaining({ pointer: '/graph/node/0/attribute/0/g/node/0', received: '"com.evil:Evil"' }),
      expect.objectContaining({ pointer: '/graph/node/2', received: '"other:X"' }),
    ]);
  });

  it('even of a domain that looks like a known one', () => {
    expect(refuse(customDomainModel('ai.onnx.ml '))).toHaveLength(1);
    expect(refuse(customDomainModel('ai.onnx.preview.training', 'Adam'))).toHaveLength(1);
  });

  it('but not functions of the file, unless the name differs', () => {
    expect(inspectOnnx(functionModel()).nodeCount).toBe(3);
    const functions = [
      { name: 'F', domain: 'local', overload: 'a', ...PARAMETERS, node: [node('Relu', ['x'], ['y'])] },
    ];
    const call = node('F', ['x'], ['y'], { domain: 'local', overload: 'b' });
    expect(refuseParts({ functions, nodes: [call] })[0]?.received).toBe('"local:F"');
  });

  it.each(['EPContext', 'PythonOp', 'TritonOp'])('com.microsoft:%s, which loads what the model names', (type) => {
    const nodes = [node(type, ['x'], ['y'], { domain: 'com.microsoft' })];
    expect(refuseParts({ nodes })[0]).toMatchObject({ pointer: '/graph/node/0', received: `com.microsoft:${type}` });
  });
});

describe('inspectOnnx refuses absurd sizes', () => {
  it.each([
    ['more than the limit', [2n ** 40n]],
    ['more than 64 bits', [2n ** 62n, 2n ** 62n]],
    ['more than 64 bits, hidden behind a zero', [2n ** 62n, 4, 0]],
    ['negative', [-1]],
    ['two negatives', [-1, -(2n ** 40n)]],
    ['of too many dimensions', new Array<number>(17).fill(1)],
  ])('dimensions %s', (_, dimensions) => {
    expect(refuse(hugeDimensionsModel(dimensions))).toEqual([
      expect.objectContaining({ pointer: '/graph/initializer/0' }),
    ]);
  });

  it.each([
    ['raw bytes missing', { dims: [2], data_type: 1, raw_data: Buffer.alloc(4) }, '4 bytes for float [2]'],
    ['raw bytes left over', { dims: [2], data_type: 1, raw_data: Buffer.alloc(12) }, '12 bytes for float [2]'],
    ['entries missing', { dims: [2], data_type: 1, float_data: [1] }, '1 entries for float [2]'],
    ['entries of the wrong list', { dims: [1], data_type: 1, int32_data: [1] }, '0 entries for float [1]'],
    ['no data', { dims: [3], data_type: 7 }, '0 entries for int64 [3]'],
    ['texts as raw bytes', { dims: [1], data_type: 8, raw_data: Buffer.alloc(1) }, 'raw bytes for string [1]'],
    ['no element type', { dims: [1] }, 'type number 0'],
    ['data that lies nowhere', { dims: [1], data_type: 1, data_location: 2 }, 'data location 2 for float [1]'],
  ])('tensors that disagree with their dimensions: %s', (_, fields, received) => {
    expect(refuseParts({ initializers: [{ name: 'w', ...fields }] })[0]).toMatchObject({
      pointer: '/graph/initializer/0',
      received,
    });
  });

  it('tensors that are too large together', () => {
    const weights = (name: string): ReturnType<typeof tensor> => tensor(name, 'FP32', [4], [1, 2, 3, 4]);
    const initializers = [weights('a'), weights('b'), weights('c')];
    expect(refuseParts({ initializers }, { weightBytes: 40 })).toEqual([
      { pointer: '/graph/initializer/2', expected: 'tensors of at most 40 bytes together', received: 'more' },
    ]);
  });

  it('sparse tensors that are small only in the file', () => {
    const sparse = { values: tensor('s', 'FP32', [1], [1]), indices: tensor('', 'INT64', [1], [0]), dims: [2n ** 40n] };
    expect(refuseParts({ sparseInitializers: [sparse] })[0]?.pointer).toBe('/graph/sparse_initializer/0');
  });

  it('outputs whose size a constant sets: of an initializer, a Constant node or an attribute', () => {
    const huge = [2n ** 20n, 2n ** 20n];
    const shape = tensor('', 'INT64', [2], huge);
    const typed = { data_type: 7, dims: [2], int64_data: huge };
    const constant = (fields: object): ReturnType<typeof node> =>
      node('Constant', [], ['s'], { attributes: [attribute('value', fields as never)] });
    const ints = node('Constant', [], ['s'], { attributes: [attribute('value_ints', { ints: huge })] });
    const one = node('Constant', [], ['s'], { attributes: [attribute('value_int', { i: 2n ** 40n })] });
    const uses = [constant({ t: shape }), constant({ t: typed }), ints, one];
    expect(refuse(constantOfShapeModel(huge))[0]).toMatchObject({ pointer: '/graph/node/0' });
    for (const source of uses) {
      for (const type of ['Expand', 'Tile']) {
        const faults = refuseParts({ nodes: [source, node(type, ['x', 's'], ['y'])] });
        expect(faults[0]).toMatchObject({ pointer: '/graph/node/1', received: expect.stringContaining(type) });
      }
    }
    const scalar = (name: string, number: bigint): ReturnType<typeof tensor> => tensor(name, 'INT64', [], [number]);
    const range = (limit: bigint): ModelParts => ({
      nodes: [node('Range', ['from', 'to', 'by'], ['y'])],
      initializers: [scalar('from', 0n), scalar('to', limit), scalar('by', 2n)],
    });
    expect(refuseParts(range(2n ** 31n))[0]?.received).toBe('Range to [1073741824]');
    expect(inspectOnnx(encodeModel({ outputs: OUTPUTS, ...range(2n ** 29n) })).nodeCount).toBe(1);
    const random = node('RandomNormal', [], ['y'], { attributes: [attribute('shape', { ints: huge })] });
    expect(refuseParts({ nodes: [random] })[0]?.received).toBe('RandomNormal to [1048576, 1048576]');
  });

  it('such a size in a branch, from a constant of the graph around it', () => {
    const inner = { node: [node('ConstantOfShape', ['s'], ['z'])], output: [value('z', 'FP32')] };
    const nodes = [node('If', ['c'], ['y'], { attributes: [attribute('then_branch', { g: inner })] })];
    const initializers = [tensor('s', 'INT64', [1], [2n ** 40n])];
    expect(refuseParts({ nodes, initializers })[0]?.pointer).toBe('/graph/node/0/attribute/0/g/node/0');
  });

  it('a size in bytes, not in elements', () => {
    const fill = (element: 'UINT8' | 'INT64'): ModelParts => ({
      nodes: [
        node('ConstantOfShape', ['s'], ['y'], {
          attributes: [attribute('value', { t: tensor('', element, [1], [1]) })],
        }),
      ],
      initializers: [tensor('s', 'INT64', [1], [100])],
      outputs: OUTPUTS,
    });
    expect(inspectOnnx(encodeModel(fill('UINT8')), limitsWith({ tensorBytes: 100 })).nodeCount).toBe(1);
    expect(refuseParts(fill('INT64'), { tensorBytes: 100 })).toHaveLength(1);
  });

  it('graphs within graphs within graphs', () => {
    expect(inspectOnnx(nestedIfModel(8)).nodeCount).toBe(17);
    expect(refuse(nestedIfModel(9))[0]?.expected).toBe('graphs within graphs at most 8 deep');
  });

  it('functions that come to more nodes than allowed once they are copied', () => {
    expect(inspectOnnx(functionBombModel(10)).nodeCount).toBe(21);
    expect(refuse(functionBombModel(60))).toEqual([
      expect.objectContaining({ pointer: '/functions', received: expect.stringMatching(/^2\d{18}$/) }),
    ]);
  });

  it('functions that call themselves through others', () => {
    const call = (name: string): ReturnType<typeof node> => node(name, ['x'], ['y'], { domain: 'l' });
    const functions = [
      { name: 'A', domain: 'l', ...PARAMETERS, node: [call('B')] },
      { name: 'B', domain: 'l', ...PARAMETERS, node: [call('A')] },
      { name: 'C', domain: 'l', ...PARAMETERS, node: [call('A')] },
    ];
    expect(refuseParts({ functions, nodes: [call('A')] }).map(({ pointer }) => pointer)).toEqual([
      '/functions/0',
      '/functions/1',
      '/functions/2',
    ]);
  });

  it('calls with more values than the function has parameters, which end the process of the runtime', () => {
    const call = (inputs: string[], outputs: string[]): ModelParts => ({
      functions: [{ name: 'F', domain: 'l', ...PARAMETERS, node: [node('Relu', ['x'], ['y'])] }],
      nodes: [node('F', inputs, outputs, { domain: 'l' })],
    });
    expect(inspectOnnx(encodeModel({ outputs: OUTPUTS, ...call(['x'], []) })).nodeCount).toBe(2);
    expect(refuseParts(call(['x', 'x'], ['y']))[0]).toMatchObject({
      pointer: '/functions/0',
      received: '2 inputs, 1 outputs for 1 and 1',
    });
    expect(refuseParts(call(['x'], ['y', 'z']))).toHaveLength(1);
  });

  it('functions that nest graphs deeper than a graph may nest itself', () => {
    const branch = (inner: object): ReturnType<typeof node> =>
      node('If', ['c'], ['y'], { attributes: [attribute('then_branch', { g: { node: [inner] } } as never)] });
    const call = node('F', ['x'], ['y'], { domain: 'l' });
    const functions = [{ name: 'F', domain: 'l', ...PARAMETERS, node: [branch(branch(node('Relu', ['x'], ['y'])))] }];
    const nodes = [branch(branch(call))];
    expect(refuseParts({ functions, nodes }, { subgraphDepth: 3 })[0]).toMatchObject({
      pointer: '/functions',
      received: '4',
    });
    expect(
      inspectOnnx(encodeModel({ functions, nodes, outputs: OUTPUTS }), limitsWith({ subgraphDepth: 4 })).nodeCount,
    ).toBe(6);
  });

  it('the same function twice', () => {
    const functions = [
      { name: 'F', domain: 'l' },
      { name: 'F', domain: 'l' },
    ];
    expect(refuseParts({ functions })[0]).toMatchObject({ pointer: '/functions/1', received: '"l:F" again' });
  });

  it('what lies in a part for training is judged like the rest', () => {
    const algorithm = { initializer: [{ name: 'w', data_type: 1, dims: [2n ** 50n] }] };
    const training = delimited(20, Buffer.alloc(0));
    expect(inspectOnnx(Buffer.concat([identityModel(), training])).nodeCount).toBe(1);
    const model = {
      ...modelFields({ outputs: OUTPUTS }),
      training_info: [{ algorithm, update_binding: [{ key: 'a' }] }],
    };
    expect(refuse(encodeMessage('ModelProto', model))[0]?.pointer).toBe('/training_info/0/algorithm/initializer/0');
  });
});

describe('inspectOnnx refuses too much of anything', () => {
  const many = <T>(count: number, each: T): T[] => new Array<T>(count).fill(each);
  const relu = node('Relu', ['x'], ['y']);
  const weights = Array.from({ length: 40 }, (_, i) => tensor(`w${i}`, 'FP32', [1], [1]));

  it.each<[keyof OnnxLimits, ModelParts]>([
    ['fileBytes', { nodes: [relu] }],
    ['nodes', { nodes: many(40, relu) }],
    ['tensors', { initializers: weights }],
    ['attributes', { nodes: [node('A', [], [], { attributes: many(40, attribute('i', { i: 1 })) })] }],
    ['messages', { nodes: many(40, relu) }],
    ['strings', { nodes: [node('Concat', many(40, 'x'), ['y'])] }],
    ['inputs', { inputs: many(40, value('x', 'FP32')) }],
    ['outputs', { outputs: many(40, value('x', 'FP32')) }],
    ['opsets', { opsets: many(40, ['', 17] as const) }],
    ['retainedBytes', { nodes: [node('A'.repeat(60), [], [])] }],
    ['nameBytes', { nodes: [node('A'.repeat(60), [], [])] }],
  ])('%s', (limit, parts) => {
    const faults = refuseParts(parts, { [limit]: 30 });
    expect(faults).toHaveLength(1);
    expect(faults[0]?.expected).toContain('30');
  });

  it('fields that ONNX does not have, wherever they are; documentation may be of any length', () => {
    const strange = delimited(1000, Buffer.alloc(40));
    const type = delimited(1, Buffer.concat([Buffer.from([0x08, 0x01]), strange]));
    const output = { name: 'y', type: type as never };
    const expected = 'at most 30 bytes beside the fields that ONNX defines';
    expect(refuseParts({ outputs: [output] }, { unknownBytes: 30 })).toEqual([
      { pointer: '/graph/output/0/type/tensor_type', expected, received: 'more than 30' },
    ]);
    expect(refuse(Buffer.concat([identityModel(), strange]), { unknownBytes: 30 })[0]?.pointer).toBe('');
    const documented = Buffer.concat([identityModel(), delimited(6, Buffer.alloc(40))]);
    expect(inspectOnnx(documented, limitsWith({ unknownBytes: 0 })).nodeCount).toBe(1);
  });

  it('with every reason, but not a thousand times the same', () => {
    const nodes = Array.from({ length: 300 }, (_, index) => node(`Op${index}`, [], [], { domain: 'evil' }));
    const faults = refuseParts({ nodes, irVersion: 0 });
    expect(faults).toHaveLength(12);
    expect(faults.at(-1)?.received).toContain('290 more');
  });

  it('with no more reasons than the limit', () => {
    const faults = refuse(encodeModel({ irVersion: 0, opsets: [], outputs: [] }), { faults: 2 });
    expect(faults.map(({ pointer }) => pointer)).toEqual(['/ir_version', '/opset_import', '']);
  });

  it('in words that repeat nothing dangerous from the file', () => {
    const type = `\u001b[31m\u202e"<script>${'A'.repeat(500)}`;
    const received = refuseParts({ nodes: [node(type, [], [], { domain: 'evil' })] })[0]?.received ?? '';
    expect(received).toMatch(/^"evil:\\u001b\[31m\\u\{202e\}\\"<script>A+…"$/);
    expect(received.length).toBeLessThan(120);
  });
});
