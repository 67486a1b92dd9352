import { inspectOnnx } from './inspect-onnx';
import { classifierModel, functionModel, identityModel, linearModel, oldModel, zipMapModel } from './testing/models';
import { endlessModel, externalDataModel, nestedIfModel } from './testing/hostile-models';
import { attribute, encodeModel, node, tensor, value } from './testing/model-parts';
import { limitsWith } from './testing/faults-of';

describe('inspectOnnx', () => {
  it('reads a model that was written by hand, byte for byte after the ONNX definition', () => {
    const text = (hex: string): Buffer => Buffer.from(hex.replaceAll(' ', ''), 'hex');
    const bytes = text(
      '08 08 12 04 68616e64 42 02 10 11 3a 2a' + // ir_version 8, producer, opset 17, graph of 42 bytes
        '0a 10 0a 01 78 12 01 79 22 08 4964656e74697479' + // Identity from x to y
        '5a 0b 0a 01 78 12 06 0a 04 08 01 12 00' + // input x: float, rank 0
        '62 09 0a 01 79 12 04 0a 02 08 07', // output y: int64, shape unknown
    );
    expect(inspectOnnx(bytes)).toEqual({
      irVersion: 8,
      producer: 'hand',
      opsets: [{ domain: '', version: 17 }],
      inputs: [
        { name: 'x', index: 0, kind: 'tensor', type: 'tensor(float)', datatype: 'FP32', shape: [], dimensionNames: [] },
      ],
      outputs: [{ name: 'y', index: 0, kind: 'tensor', type: 'tensor(int64)', datatype: 'INT64' }],
      nodeCount: 1,
      operators: { Identity: 1 },
      externalFiles: [],
      initializerBytes: 0,
      metadata: {},
    });
  });

  it('tells fixed, free and named dimensions apart', () => {
    const [input] = inspectOnnx(identityModel('FP32', ['batch', -1, 3])).inputs;
    expect(input).toMatchObject({ shape: [-1, -1, 3], dimensionNames: ['batch', '', ''] });
  });

  it('takes a negative dimension for one of any size, as some exporters mean it', () => {
    const shape = { dim: [{ dim_value: -7 }, { dim_value: 0 }] };
    const input = { name: 'x', type: { tensor_type: { elem_type: 1, shape } } };
    const model = encodeModel({ inputs: [input], outputs: [value('y', 'FP32')] });
    expect(inspectOnnx(model).inputs[0]?.shape).toEqual([-1, 0]);
  });

  it.each([
    ['FP32', 'FP32'],
    ['FP16', 'FP16'],
    ['FP64', 'FP64'],
    ['BOOL', 'BOOL'],
    ['BYTES', 'BYTES'],
    ['INT8', 'INT8'],
    ['UINT64', 'UINT64'],
  ] as const)('reads the datatype %s', (element, datatype) => {
    expect(inspectOnnx(identityModel(element)).outputs[0]?.datatype).toBe(datatype);
  });

  it('counts operators, nodes and the bytes of weights', () => {
    const model = inspectOnnx(classifierModel({ weights: [[1], [2]], bias: [0, 0], labels: ['no', 'yes'] }));
    expect(model.operators).toEqual({ ArgMax: 1, Gemm: 1, Softmax: 1, 'ai.onnx.ml:LabelEncoder': 1 });
    expect(model.nodeCount).toBe(4);
    expect(model.initializerBytes).toBe(16);
  });

  it('counts what is nested in nodes and functions too', () => {
    expect(inspectOnnx(nestedIfModel(3)).operators).toEqual({ Identity: 4, If: 3 });
    expect(inspectOnnx(functionModel()).operators).toEqual({ Add: 1, Constant: 1, 'local:Increment': 1 });
  });

  it('leaves out inputs that an initializer fills', () => {
    expect(inspectOnnx(oldModel()).inputs.map(({ name, index }) => ({ name, index }))).toEqual([
      { name: 'x', index: 1 },
    ]);
  });

  it('describes outputs that are no tensors as ONNX Runtime does', () => {
    const [, output] = inspectOnnx(zipMapModel()).outputs;
    expect(output).toEqual({
      name: 'output_probability',
      index: 1,
      kind: 'sequence',
      type: 'seq(map(int64,tensor(float)))',
    });
  });

  it.each([
    ['optional', { optional_type: { elem_type: { tensor_type: { elem_type: 1 } } } }, 'optional(tensor(float))'],
    ['map', { map_type: { key_type: 8, value_type: { tensor_type: { elem_type: 1 } } } }, 'map(string,tensor(float))'],
    ['unknown', { sparse_tensor_type: { elem_type: 1 } }, 'sparse_tensor'],
    ['unknown', { opaque_type: { name: 'thing' } }, 'opaque'],
    ['sequence', { sequence_type: {} }, 'seq(?)'],
  ])('describes a value of kind %s', (kind, type, text) => {
    const model = inspectOnnx(encodeModel({ outputs: [{ name: 'y', type }] }));
    expect(model.outputs[0]).toMatchObject({ kind, type: text });
  });

  it('reads producer and metadata', () => {
    const parts = { outputs: [value('y', 'FP32')], producer: ['skl2onnx', '1.20.0'] as const };
    const model = inspectOnnx(encodeModel({ ...parts, metadata: { classes: 'a,b', __proto__x: '1' } }));
    expect(model).toMatchObject({ producer: 'skl2onnx 1.20.0', metadata: { classes: 'a,b', __proto__x: '1' } });
  });

  it('leaves out metadata that is longer than anybody reads', () => {
    const model = encodeModel({ outputs: [value('y', 'FP32')], metadata: { short: 'ok', long: 'x'.repeat(200) } });
    expect(inspectOnnx(model, limitsWith({ metadataBytes: 100 })).metadata).toEqual({ short: 'ok' });
  });

  it('treats names of Object.prototype as names', () => {
    const nodes = [node('__proto__', [], ['y']), node('constructor', [], ['z'])];
    const model = inspectOnnx(encodeModel({ nodes, outputs: [value('constructor', 'FP32')], metadata: {} }));
    expect(Object.entries(model.operators)).toEqual([
      ['__proto__', 1],
      ['constructor', 1],
    ]);
  });

  it('lists the files of external data, each once', () => {
    expect(inspectOnnx(externalDataModel({ location: 'weights.bin' }, 'branch')).externalFiles).toEqual([
      'weights.bin',
    ]);
  });

  it('leaves a loop that never ends to the time limit of the runners', () => {
    expect(inspectOnnx(endlessModel()).operators).toMatchObject({ Loop: 1 });
  });

  it('ignores an imported operator set that no node uses', () => {
    const opsets = [['', 17] as const, ['com.microsoft.nchwc', 1] as const];
    expect(inspectOnnx(encodeModel({ opsets, outputs: [value('y', 'FP32')] })).opsets).toHaveLength(2);
  });

  it('accepts typed lists in place of raw bytes, of every element type that has one', () => {
    const lists = [
      { name: 'a', data_type: 1, dims: [2], float_data: [1, 2] },
      { name: 'b', data_type: 11, dims: [2], double_data: [1, 2] },
      { name: 'c', data_type: 7, dims: [2], int64_data: [1, -2] },
      { name: 'd', data_type: 10, dims: [2], int32_data: [1, 2] },
      { name: 'e', data_type: 12, dims: [2], uint64_data: [1, 2] },
      { name: 'f', data_type: 14, dims: [2], float_data: [1, 2, 3, 4] },
      { name: 'g', data_type: 22, dims: [3], int32_data: [0x21, 0x03] },
      { name: 'h', data_type: 22, dims: [3], raw_data: Buffer.from([0x21, 0x03]) },
      { name: 'i', data_type: 1, dims: [0] },
      { name: 'j', data_type: 1, dims: [], float_data: [1] },
      tensor('k', 'BYTES', [2], ['a', '']),
    ];
    const model = encodeModel({ initializers: lists, outputs: [value('y', 'FP32')] });
    expect(inspectOnnx(model).initializerBytes).toBe(8 + 16 + 16 + 4 + 8 + 16 + 2 + 2 + 4 + 2);
  });

  it('looks through every kind of attribute and message without stumbling', () => {
    const t = tensor('', 'FP32', [1], [1]);
    const sparse = { values: t, indices: tensor('', 'INT64', [1], [0]), dims: [2] };
    const attributes = [
      attribute('f', { f: 1 }),
      attribute('floats', { floats: [1, 2] }),
      attribute('ints', { ints: [1, -1] }),
      attribute('s', { s: 'text' }),
      attribute('strings', { strings: ['a', 'b'] }),
      attribute('sparse', { sparse_tensor: sparse }),
      { name: 'more', tensors: [t, t], sparse_tensors: [sparse], graphs: [{ name: 'g' }], tp: {}, type_protos: [{}] },
    ];
    const model = encodeModel({
      nodes: [node('Anything', ['a', 'b', 'c'], ['d', 'e'], { attributes })],
      sparseInitializers: [{ values: tensor('s', 'FP32', [1], [1]), indices: sparse.indices, dims: [2] }],
      outputs: [value('y', 'FP32')],
    });
    expect(inspectOnnx(model).nodeCount).toBe(1);
  });

  it('gives the same for a linear model whichever view of the bytes it gets', () => {
    const bytes = linearModel({ weights: [[1, 2]], bias: [3] });
    const padded = Buffer.concat([Buffer.alloc(13, 0xff), bytes, Buffer.alloc(9, 0xff)]);
    expect(inspectOnnx(new Uint8Array(padded.buffer, padded.byteOffset + 13, bytes.length))).toEqual(
      inspectOnnx(bytes),
    );
  });
});
