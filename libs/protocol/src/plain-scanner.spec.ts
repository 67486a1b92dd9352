import { PlainScanner } from './plain-scanner';

function scanner(text: string): PlainScanner {
  const made = new PlainScanner();
  made.open(Buffer.from(text));
  return made;
}

/** The value and where reading stopped; undefined where the scanner leaves it to others. */
function scalar(text: string): unknown {
  const made = scanner(text);
  const value = made.scalar();
  return value === undefined ? undefined : [value, made.at];
}

const brace = 0x7b;

/** Repeatable random numbers (mulberry32). */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

describe('PlainScanner', () => {
  it.each([
    ['0', 0],
    ['-0', -0],
    ['7', 7],
    ['-12.5', -12.5],
    ['0.1', 0.1],
    ['0.000123', 0.000123],
    ['123456789012345', 123456789012345],
    ['123456789012345678901', 123456789012345678901],
    ['0.30000000000000004', 0.30000000000000004],
    ['1e3', 1000],
    ['1E-400', 0],
    ['1.5e+300', 1.5e300],
    ['null', null],
    ['true', true],
    ['false', false],
    ['"BUY now"', 'BUY now'],
    ['""', ''],
    [' \n\t\r 5', 5],
  ])('reads %s as JSON.parse does', (text, value) => {
    expect(scalar(`${text},`)).toEqual([value, text.length]);
    expect(Object.is(scalar(text.trim()) && (scalar(text.trim()) as unknown[])[0], value)).toBe(true);
  });

  it.each([
    '',
    '-',
    '.5',
    '5.',
    '1e',
    '1e+',
    '--1',
    '+1',
    'NaN',
    'Infinity',
    'nul',
    'tru',
    'True',
    '"open',
    '"a\\n"',
    '"é"',
    '"\u0001"',
    '[1]',
    '{}',
    `1${'0'.repeat(80)}`,
  ])('leaves %j to others', (text) => expect(scalar(text)).toBeUndefined());

  it.each(['9007199254740993', '-9223372036854775808', '18446744073709551615'])('keeps all digits of %s', (text) => {
    expect(scalar(text)).toEqual([BigInt(text), text.length]);
    expect(scanner(text).number()).toBe(Number(text));
  });

  it('stops at what does not belong to a number, so that 01 and 1.2.3 are seen by whoever expects a comma', () => {
    expect(scalar('01')).toEqual([0, 1]);
    expect(scalar('1.2.3')).toEqual([1.2, 3]);
    expect(scalar('0x10')).toEqual([0, 1]);
  });

  it('reads a hundred thousand numbers to the last bit as JSON.parse does', () => {
    const next = random(1);
    const differing: string[] = [];
    for (let i = 0; i < 100_000; i++) {
      const magnitude = 10 ** Math.floor(next() * 40 - 20);
      const value = (next() - 0.5) * magnitude;
      const text =
        [String(value), value.toPrecision(6), value.toFixed(3), value.toExponential(4), String(Math.round(value))][
          i % 5
        ] ?? '';
      const read = scanner(`${text} `).number();
      if (!Object.is(read, JSON.parse(text))) differing.push(text);
    }
    expect(differing).toEqual([]);
  });

  it('passes names, bytes and nested values', () => {
    const made = scanner(' { "a" : {"x":[1,"}\\"]",{}]} , "b":2}');
    expect(made.pass(brace)).toBe(true);
    expect(made.passName(Buffer.from('b'))).toBe(false);
    expect(made.passName(Buffer.from('ab'))).toBe(false);
    expect(made.passName(Buffer.from('a'))).toBe(true);
    expect(made.skipNested()).toBe(true);
    expect(made.pass(0x2c)).toBe(true);
    expect(made.passName(Buffer.from('b'))).toBe(true);
    expect(made.skipNested()).toBe(false);
    expect(made.number()).toBe(2);
    expect(made.pass(0x7d)).toBe(true);
    expect(made.peek()).toBe(-1);
  });

  it('does not pass what never ends', () => {
    expect(scanner('{"a":[').skipNested()).toBe(false);
    expect(scanner('["a').skipNested()).toBe(false);
    expect(scanner('"a" 1').passName(Buffer.from('a'))).toBe(false);
    expect(scanner('n').passNull()).toBe(false);
    expect(scanner(' null').passNull()).toBe(true);
  });
});
