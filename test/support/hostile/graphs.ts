import {
  attribute,
  constantOfShapeModel,
  customDomainModel,
  encodeMessage,
  encodeModel,
  functionBombModel,
  hugeDimensionsModel,
  identityModel,
  modelFields,
  nestedIfModel,
  node,
  tensor,
  value,
  type ModelParts,
} from '@sibyl/onnx/testing';
import { byScan, hostileModel, type HostileUpload } from './hostile-package';

const OUTPUTS = [value('y', 'FP32', [-1])];
const INPUTS = [value('x', 'FP32', [-1])];
/** Twelve gigabytes of FP32, as one number or as two. */
const HUGE = 3n * 2n ** 30n;
const LOCAL = { domain: 'l' };
const PARAMETERS = { domain: 'l', input: ['x'], output: ['y'], opset_import: [{ domain: 'l', version: 1 }] };
const LOCAL_OPSETS = [['', 17] as const, ['l', 1] as const];

const model = (parts: ModelParts) => (): Buffer => encodeModel({ inputs: INPUTS, outputs: OUTPUTS, ...parts });
const call = (name: string, inputs = ['x'], outputs = ['y']): ReturnType<typeof node> =>
  node(name, inputs, outputs, LOCAL);
const fill = <T>(count: number, each: (index: number) => T): T[] => Array.from({ length: count }, (_, i) => each(i));

/** An operator whose output is as large as an initializer says. */
function sized(operator: string, sizes: readonly bigint[]): () => Buffer {
  return model({
    nodes: [node(operator, ['x', 'sizes'], ['y'])],
    initializers: [tensor('sizes', 'INT64', [sizes.length], sizes)],
  });
}

function range(limit: bigint): () => Buffer {
  const scalar = (name: string, number: bigint): ReturnType<typeof tensor> => tensor(name, 'INT64', [], [number]);
  return model({
    nodes: [node('Range', ['start', 'limit', 'delta'], ['r']), node('ReduceMax', ['r'], ['y'])],
    initializers: [scalar('start', 0n), scalar('limit', limit), scalar('delta', 1n)],
    outputs: [value('y', 'INT64', [-1])],
  });
}

const sparse = (dims: readonly bigint[]): ReturnType<typeof tensor> =>
  ({ values: tensor('w', 'FP32', [1], [1]), indices: tensor('', 'INT64', [1], [0]), dims }) as never;

const WEIGHT = tensor('w', 'FP32', [1], [1]);

/** Where the ninth level would begin. */
const DEEPEST = `/graph/node/0${'/attribute/0/g/node/0'.repeat(8)}/attribute/0`;

type Row = readonly [name: string, attack: string, bytes: () => Buffer, pointer: string, says: string];

const SIZES: readonly Row[] = [
  [
    'dimension-2-40',
    'a tensor of a terabyte',
    () => hugeDimensionsModel([2n ** 40n]),
    '/graph/initializer/0',
    'at most',
  ],
  [
    'dimension-overflow',
    'dimensions whose product is 0 in 64 bits',
    () => hugeDimensionsModel([2n ** 32n, 2n ** 32n]),
    '/graph/initializer/0',
    'tensors of at most',
  ],
  [
    'overflow-behind-zero',
    'the same with a zero behind it, so that no data is missed',
    () => hugeDimensionsModel([2n ** 62n, 4, 0]),
    '/graph/initializer/0',
    'tensors of at most',
  ],
  ['negative-dimension', 'a dimension of -1', () => hugeDimensionsModel([-1]), '/graph/initializer/0', '0 or more'],
  [
    'two-negatives',
    'two, whose product is positive',
    () => hugeDimensionsModel([-2, -2]),
    '/graph/initializer/0',
    '0 or',
  ],
  [
    'rank-of-a-thousand',
    'a thousand dimensions',
    () => hugeDimensionsModel(fill(1000, () => 1)),
    '/graph/initializer/0',
    '1000 dimensions',
  ],
  [
    'missing-data',
    'a dimension of 0 that has data all the same',
    model({ initializers: [{ ...tensor('w', 'FP32', [0], [1]) }] }),
    '/graph/initializer/0',
    '4 bytes for float [0]',
  ],
  [
    'short-data',
    'a thousand numbers declared, one sent',
    model({ initializers: [tensor('w', 'FP32', [1000], [1])] }),
    '/graph/initializer/0',
    '4 bytes for float [1000]',
  ],
  [
    'constant-12-gb',
    'ConstantOfShape of 12 GB',
    () => constantOfShapeModel([HUGE]),
    '/graph/node/0',
    'ConstantOfShape to',
  ],
  ['expand-12-gb', 'Expand to 12 GB', sized('Expand', [3n, 2n ** 30n, 4n]), '/graph/node/0', 'Expand to'],
  ['tile-12-gb', 'Tile to 12 GB', sized('Tile', [HUGE * 4n]), '/graph/node/0', 'Tile to'],
  ['range-12-gb', 'Range to 12 GB', range(HUGE), '/graph/node/0', 'Range to'],
  [
    'sparse-12-gb',
    'a sparse tensor of one number that is dense 12 GB',
    model({ sparseInitializers: [sparse([HUGE])] }),
    '/graph/sparse_initializer/0',
    'tensors of at most',
  ],
  [
    'random-12-gb',
    'random numbers of 12 GB',
    model({ nodes: [node('RandomNormal', [], ['y'], { attributes: [attribute('shape', { ints: [HUGE] })] })] }),
    '/graph/node/0',
    'RandomNormal to',
  ],
  [
    'sparse-constant-12-gb',
    'the same in a Constant',
    model({
      nodes: [
        node('Constant', [], ['y'], { attributes: [attribute('sparse_value', { sparse_tensor: sparse([HUGE]) })] }),
      ],
    }),
    '/graph/node/0/attribute/0/sparse_tensor',
    'tensors of at most',
  ],
  [
    'input-of-exabytes',
    'an input that nobody could send',
    () => identityModel('FP32', [2 ** 31, 2 ** 31]),
    '/graph/input/0',
    'values of at most',
  ],
];

const STRUCTURE: readonly Row[] = [
  ['deep-graphs', 'an If in an If, 40 deep', () => nestedIfModel(40), DEEPEST, 'at most 8 deep'],
  [
    'wide-graphs',
    'an If whose both branches are Ifs, 12 deep: 8,191 graphs',
    () => nestedIfModel(12, 'both'),
    DEEPEST,
    'at most 8 deep',
  ],
  [
    'function-bomb',
    'sixty functions that call each other twice',
    () => functionBombModel(60),
    '/functions',
    'nodes once functions are copied',
  ],
  [
    'recursive-functions',
    'two functions that call each other',
    model({
      opsets: LOCAL_OPSETS,
      functions: [
        { name: 'A', ...PARAMETERS, node: [call('B')] },
        { name: 'B', ...PARAMETERS, node: [call('A')] },
      ],
      nodes: [call('A')],
    }),
    '/functions/0',
    'functions that do not call themselves',
  ],
  [
    'function-arity',
    'a call with more values than the function has parameters, which ends the process of the runtime',
    model({
      opsets: LOCAL_OPSETS,
      functions: [{ name: 'F', ...PARAMETERS, node: [node('Relu', ['x'], ['y'])] }],
      nodes: [call('F', ['x', 'x', 'x'])],
    }),
    '/functions/0',
    'calls with at most',
  ],
  [
    'many-inputs',
    'five thousand inputs',
    model({ inputs: fill(5000, (i) => value(`x${i}`, 'FP32')) }),
    '/graph',
    'at most 1024 inputs',
  ],
  [
    'many-outputs',
    'five thousand outputs',
    model({ outputs: fill(5000, (i) => value(`y${i}`, 'FP32')) }),
    '/graph',
    'at most 1024 outputs',
  ],
  [
    'many-opsets',
    'a thousand operator sets',
    model({ opsets: fill(1000, (i) => [`d${i}`, 1] as const) }),
    '/graph',
    'at most 64 operator sets',
  ],
  ['no-outputs', 'a model that answers nothing', model({ outputs: [] }), '/graph/output', 'at least one output'],
  ['no-version', 'a file of version 0', model({ irVersion: 0 }), '/ir_version', 'a version of 1'],
  ['custom-domain', 'an operator of a native library', () => customDomainModel(), '/graph/node/0', 'com.evil:Evil'],
  [
    'look-alike-domain',
    'a domain with a space at its end',
    () => customDomainModel('ai.onnx.ml '),
    '/graph/node/0',
    'ai.onnx.ml ',
  ],
  [
    'compiled-engine',
    'an engine that an execution provider compiled',
    model({ nodes: [node('EPContext', [], ['y'], { domain: 'com.microsoft' })] }),
    '/graph/node/0',
    'EPContext',
  ],
  [
    'python-operator',
    'an operator that calls Python',
    model({ nodes: [node('PythonOp', [], ['y'], { domain: 'com.microsoft' })] }),
    '/graph/node/0',
    'PythonOp',
  ],
];

const NAMES: readonly Row[] = [
  ['same-inputs', 'two inputs of one name', model({ inputs: [...INPUTS, ...INPUTS] }), '/graph/input/1', 'again'],
  ['same-outputs', 'two outputs of one name', model({ outputs: [...OUTPUTS, ...OUTPUTS] }), '/graph/output/1', 'again'],
  [
    'same-initializers',
    'two weights of one name: a scan may judge the one and the runtime use the other',
    model({ initializers: [WEIGHT, WEIGHT] }),
    '/graph/initializer/1',
    'again',
  ],
  [
    'same-sparse-initializers',
    'the same with a dense and a sparse one',
    model({ initializers: [WEIGHT], sparseInitializers: [sparse([1n])] }),
    '/graph/sparse_initializer/0',
    'again',
  ],
  [
    'same-opset',
    'one operator set in two versions',
    model({
      opsets: [
        ['', 17],
        ['ai.onnx', 6],
      ],
    }),
    '/opset_import/1',
    'each operator set in one version',
  ],
  [
    'same-metadata',
    'one key of the metadata with two values',
    () => {
      const props = ['a', 'b'].map((text) => ({ key: 'author', value: text }));
      return encodeMessage('ModelProto', { ...modelFields({ outputs: OUTPUTS }), metadata_props: props });
    },
    '/metadata_props/1',
    'again',
  ],
  [
    'proto-input',
    'an input called __proto__',
    model({ inputs: [value('__proto__', 'FP32')] }),
    '/graph/input/0',
    '__proto__',
  ],
  [
    'control-input',
    'an input that writes to terminals',
    model({ inputs: [value('\u001b[2J', 'FP32')] }),
    '/graph/input/0',
    'printable',
  ],
];

export const HOSTILE_GRAPHS: readonly HostileUpload[] = [...SIZES, ...STRUCTURE, ...NAMES].map(
  ([name, attack, bytes, pointer, says]) => hostileModel({ name, attack, refused: byScan(pointer, says) }, bytes),
);
