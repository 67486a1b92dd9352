import { areLong, encodeLong, GrowingText, joinJson, LongText, type JsonText } from './long-text';
import { encodeNested, NestedReading, decodeNested } from './nested';
import { elementCount, type Tensor } from './tensor';

/** Takes turns whenever it is asked. */
function restless(): { due: boolean; turns: number; next(): Promise<void> } {
  const pace = {
    due: true,
    turns: 0,
    next: () => {
      pace.turns++;
      return Promise.resolve();
    },
  };
  return pace;
}

const textOf = (text: JsonText): string => (typeof text === 'string' ? text : String(Buffer.concat(text.parts)));

function floats(shape: number[]): Tensor {
  const data = Float32Array.from({ length: elementCount(shape) }, (_, i) => Math.sin(i) * 10 ** (i % 9));
  data[3] = NaN;
  data[5] = Infinity;
  return { name: 'x', datatype: 'FP32', shape, data };
}

describe('encodeLong', () => {
  it.each([[[20_000]], [[1, 20_000]], [[100, 200]], [[4, 1, 50, 100]], [[20_000, 1, 1]], [[2, 3, 2, 5, 1_000]]])(
    'writes %j as encodeNested does',
    async (shape) => {
      const tensor = floats(shape);
      const pace = restless();
      const text = await encodeLong(tensor, pace);
      expect(text).toBeInstanceOf(LongText);
      expect(textOf(text)).toBe(encodeNested(tensor));
      expect(pace.turns).toBeGreaterThan(50);
    },
  );

  it('writes texts and 64-bit integers', async () => {
    const texts = Array.from({ length: 9_000 }, (_, i) => (i % 2 ? 'é"\u{1f600}' : ''));
    const strings: Tensor = { name: 'x', datatype: 'BYTES', shape: [4_500, 2], data: texts };
    expect(textOf(await encodeLong(strings, restless()))).toBe(encodeNested(strings));
    const data = BigInt64Array.from({ length: 9_000 }, (_, i) => 2n ** 62n + BigInt(i));
    const integers: Tensor = { name: 'x', datatype: 'INT64', shape: [9_000], data };
    expect(textOf(await encodeLong(integers, restless()))).toBe(encodeNested(integers));
  });

  it('leaves what is short, empty or a scalar to encodeNested', async () => {
    const pace = restless();
    for (const shape of [[10], [0, 5], []]) {
      const tensor = floats([10]);
      const some = { ...tensor, shape, data: tensor.data.slice(0, elementCount(shape)) };
      expect(areLong([some])).toBe(false);
      expect(await encodeLong(some, pace)).toBe(encodeNested(some));
    }
    expect(pace.turns).toBe(0);
  });
});

describe('joinJson', () => {
  it('is a string as long as no part is long', () => {
    expect(joinJson(['{', '}'])).toBe('{}');
    const long = new LongText([Buffer.from('é'), Buffer.from('b')]);
    const joined = joinJson(['ä', long, '"']) as LongText;
    expect(textOf(joined)).toBe('äéb"');
    expect(joined.bytes).toBe(6);
  });
});

describe('NestedReading', () => {
  const spec = { name: 'x', datatype: 'FP32', shape: [-1, 3, 2] } as const;
  const rows = [
    [
      [1, 2],
      [3, null],
      [5, 6],
    ],
    [
      [7, 8],
      [9, 10],
      [11, 12],
    ],
  ];

  it('reads the same in steps of any size', () => {
    for (let most = 1; most < 25; most++) {
      const reading = new NestedReading(rows, spec, '/x');
      let steps = 1;
      while (!reading.read(most)) steps++;
      expect(reading.tensor).toEqual(decodeNested(rows, spec, '/x'));
      expect(steps).toBeGreaterThan(12 / most);
    }
  });

  it.each([
    ['an element', (value: typeof rows) => ((value[1]![2]![0] as unknown) = 'a')],
    ['a row that is too short', (value: typeof rows) => value[1]![1]!.pop()],
    ['a number for a row', (value: typeof rows) => ((value[1]![1] as unknown) = 1)],
    ['a row too few', (value: typeof rows) => value[1]!.pop()],
  ])('finds %s with the same words', (_name, spoil) => {
    const value = structuredClone(rows);
    spoil(value);
    const inSteps = (): unknown => {
      const reading = new NestedReading(value, spec, '/x');
      while (!reading.read(2));
      return reading.tensor;
    };
    const fault = thrownBy(() => decodeNested(value, spec, '/x'));
    expect(fault.faults?.[0]?.pointer).toMatch(/^\/x\/1/);
    expect(thrownBy(inSteps)).toEqual(fault);
  });
});

function thrownBy(work: () => unknown): Error & { faults?: { pointer: string }[] } {
  try {
    work();
  } catch (error) {
    return error as Error;
  }
  throw new Error('nothing was thrown');
}

describe('a growing text', () => {
  it.each([
    [10, 'a string'],
    [3000, 'bytes in parts'],
  ])('of %i pieces is %s, and says what was added', (count, kind) => {
    const pieces = Array.from({ length: count }, (_, i) => `${i}: ü€😀 ${'x'.repeat(50)}`);
    const text = new GrowingText();
    for (const piece of pieces) text.add(piece);
    const ended = text.end();
    expect(typeof ended === 'string').toBe(kind === 'a string');
    expect(textOf(ended)).toBe(pieces.join(''));
    if (typeof ended !== 'string') expect(ended.bytes).toBe(Buffer.byteLength(pieces.join('')));
  });

  it('may end with a part, and be empty', () => {
    const text = new GrowingText();
    text.add('x'.repeat(64 * 1024));
    expect(text.end()).toEqual(new LongText([Buffer.from('x'.repeat(64 * 1024))]));
    expect(new GrowingText().end()).toBe('');
  });
});
