import { PlainScanner, type Tensor } from '@sibyl/protocol';
import { parse } from 'lossless-json';
import { FeatureRows, type JsonObject } from './feature-rows';
import { compileContract, type FeatureRule, type InputSpec } from './model-contract';
import { readPlainTensors } from './plain-tensors';
import { decodeTensorInputs } from './tensor-inputs';

const market: InputSpec = { name: 'features', datatype: 'FP32', shape: [-1, 3], columns: ['price', 'rsi', 'macd'] };
const rules: FeatureRule[] = [
  { name: 'price', min: 0, max: 1e7 },
  { name: 'rsi', min: 0, max: 100, nullable: true },
  { name: 'macd', defaultValue: 0, nullable: true },
];
const contract = compileContract([market], rules);
const mixed = compileContract(
  [
    { name: 'age', datatype: 'INT64', shape: [-1, 1] },
    { name: 'smoker', datatype: 'BOOL', shape: [-1] },
    { name: 'city', datatype: 'BYTES', shape: [-1, 1] },
    { name: 'dose', datatype: 'FP64', shape: [-1, 1] },
  ],
  [{ name: 'city', allowed: ['Rome', 'Oslo'] }],
);
const two = compileContract([market, { name: 'more', datatype: 'FP64', shape: [2, 2] }], rules);

const image = compileContract(
  [
    { name: 'pixels', datatype: 'FP32', shape: [-1, 1, 2, 2] },
    { name: 'scale', datatype: 'FP64', shape: [-1] },
  ],
  [{ name: 'pixels', nullable: true }],
);

function scannerOf(text: string): PlainScanner {
  const scanner = new PlainScanner();
  scanner.open(Buffer.from(text));
  return scanner;
}

interface Read {
  readonly tensors: readonly Tensor[];
  readonly missing?: readonly string[];
}

function plainRow(of: typeof contract, text: string): Read | undefined {
  const rows = new FeatureRows(of, 1);
  const scanner = scannerOf(text);
  const missing = rows.addPlain(scanner);
  if (missing === undefined || scanner.peek() !== -1) return undefined;
  return { tensors: rows.tensors(), missing: missing.map((slot) => slot.name) };
}

function ordinaryRow(of: typeof contract, text: string): Read | undefined {
  const rows = new FeatureRows(of, 1);
  return attempt(() => {
    const missing = rows.add(parsed(text), '/features');
    return { tensors: rows.tensors(), missing: missing.map((slot) => slot.name) };
  });
}

function plainTensors(of: typeof contract, text: string): Read | undefined {
  const scanner = scannerOf(text);
  const tensors = attempt(() => readPlainTensors(of, scanner));
  return tensors === undefined || scanner.peek() !== -1 ? undefined : { tensors };
}

function ordinaryTensors(of: typeof contract, text: string): Read | undefined {
  return attempt(() => ({ tensors: decodeTensorInputs(of, parsed(text), '/inputs') }));
}

function parsed(text: string): JsonObject {
  // As the server reads it: JSON.parse, but whole numbers beyond 2^53-1 keep their digits.
  const parseNumber = (digits: string): number | bigint =>
    /^-?\d{16,20}$/.test(digits) && !Number.isSafeInteger(Number(digits)) ? BigInt(digits) : Number(digits);
  JSON.parse(text);
  const value = parse(text, undefined, { parseNumber, onDuplicateKey: ({ newValue }) => newValue });
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error('no object');
  return value as JsonObject;
}

function attempt<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}

const ROWS: [typeof contract, string][] = [
  [contract, '{"price":101.25,"rsi":44,"macd":-0.5}'],
  [contract, ' { "macd" : null , "price" : 0 ,\n"rsi":1e2 } '],
  [contract, '{"price":0.1234567890123456}'],
  [contract, '{}'],
  [mixed, '{"age":61,"smoker":true,"city":"Rome","dose":0.30000000000000004}'],
  [mixed, '{"city":"Oslo","smoker":0,"age":9007199254740991,"dose":-1.5E-7}'],
];
const TENSORS: [typeof contract, string][] = [
  [contract, '{"features":[[1,2,3]]}'],
  [contract, '{ "features" : [ [1.5, null, -3e-2], [4,5.25,6] ] }'],
  [image, '{"pixels":[[[[1,2],[3,4]]],[[[5,6.5],[null,-8]]]],"scale":[0.5,2]}'],
  [two, '{"features":[[1,2,3]],"more":[[1,2],[3,4.000000000000001]]}'],
];

/** Repeatable random numbers (mulberry32). */
function randomOf(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let hash = Math.imul(state ^ (state >>> 15), 1 | state);
    hash = (hash + Math.imul(hash ^ (hash >>> 7), 61 | hash)) ^ hash;
    return Math.floor((((hash ^ (hash >>> 14)) >>> 0) / 4294967296) * below);
  };
}

const PIECES = [
  ...'{}[],:"\\ -+.eE0123456789an',
  'null',
  'true',
  '1e999',
  '"rsi":7',
  ',"rsi":7',
  '"x":1,',
  '[]',
  'é',
  '\u0000',
  '\\u0041',
  '00',
  '3.4028235677973367e38',
  '"NaN"',
];

function mutated(text: string, random: (below: number) => number): string {
  let made = text;
  for (let edits = 1 + random(3); edits > 0; edits--) {
    const at = random(made.length + 1);
    made = made.slice(0, at) + (PIECES[random(PIECES.length)] ?? '') + made.slice(at + random(4));
  }
  return made;
}

describe.each([
  ['features', ROWS, plainRow, ordinaryRow],
  ['tensors', TENSORS, plainTensors, ordinaryTensors],
])('reading %s from their bytes', (_name, seeds, plain, ordinary) => {
  it.each(seeds.map(([of, text]) => ({ of, text })))('takes $text', ({ of, text }) => {
    expect(plain(of, text)).toBeDefined();
    expect(plain(of, text)).toEqual(ordinary(of, text));
  });

  it('takes nothing of twenty thousand mutants that the ordinary way refuses or reads otherwise', () => {
    const random = randomOf(7);
    let taken = 0;
    for (let i = 0; i < 20_000; i++) {
      const [of, text] = seeds[i % seeds.length] ?? [contract, '{}'];
      const mutant = mutated(text, random);
      const read = plain(of, mutant);
      if (read === undefined) continue;
      taken++;
      expect({ mutant, read }).toEqual({ mutant, read: ordinary(of, mutant) });
    }
    expect(taken).toBeGreaterThan(500);
  });
});

describe('reading tensors from their bytes', () => {
  const rows = (count: number): string =>
    JSON.stringify({ features: Array.from({ length: count }, (_, i) => [i, 1, 2]) });

  it('takes what there is room for, and leaves larger ones to the ordinary way', () => {
    expect(plainTensors(contract, rows(21_000))).toEqual(ordinaryTensors(contract, rows(21_000)));
    expect(plainTensors(contract, rows(22_000))).toBeUndefined();
  });
});

describe('reading features from their bytes', () => {
  it.each([
    ['a name that comes twice', '{"price":1,"rsi":2,"price":3}'],
    ['an unknown feature', '{"price":1,"volume":2}'],
    ['a value out of its range', '{"price":-1}'],
    ['null where it means nothing', '{"price":null}'],
    ['a name with an escape', '{"pr\\u0069ce":1}'],
    ['an array', '{"price":[1]}'],
  ])('leaves %s to the ordinary way', (_name, text) => expect(plainRow(contract, text)).toBeUndefined());
});
