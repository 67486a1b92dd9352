import { integerText, quote, quoteBounded, valueText } from './json-text';

/** A small generator with a seed, so that a failure can be repeated. */
function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

const RANGES: readonly (readonly [number, number])[] = [
  [0x00, 0x20],
  [0x20, 0x7f],
  [0x20, 0x7f],
  [0x7f, 0x100],
  [0x2028, 0x202a],
  [0x4e00, 0x4e80],
  [0xd800, 0xdc00],
  [0xdc00, 0xe000],
  [0xfff0, 0x10000],
];

function randomText(random: () => number): string {
  const length = Math.floor(random() * 24);
  let text = '';
  for (let i = 0; i < length; i++) {
    const [from, to] = RANGES[Math.floor(random() * RANGES.length)] as readonly [number, number];
    text += String.fromCharCode(from + Math.floor(random() * (to - from)));
  }
  return text;
}

const LONE_SURROGATES = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

/** What any reader must find: the text itself, with what PostgreSQL cannot hold replaced. */
function storable(text: string): string {
  return text.replace(LONE_SURROGATES, '\ufffd').replaceAll('\0', '\ufffd');
}

/** The same literal as JSON.stringify makes, with everything beyond ASCII escaped. */
function escapedStringify(text: string): string {
  return JSON.stringify(storable(text)).replace(
    /[\u007f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

describe('quote', () => {
  it('writes what JSON.stringify writes, in ASCII, for 20,000 fuzzed texts', () => {
    const random = randomNumbers(20_260_115);
    for (let i = 0; i < 20_000; i++) {
      const text = randomText(random);
      expect(quote(text)).toBe(escapedStringify(text));
    }
  });

  it.each(['', 'plain', '"', '\\', '\\u0000', '\0', '\ud800', '\udc00\ud800', '😀', '\u2028', '\u007f', 'a\r\nb\t'])(
    'reads back as the storable text: %j',
    (text) => {
      expect(JSON.parse(quote(text))).toBe(storable(text));
      expect(quote(text)).toMatch(/^[ -~]*$/);
    },
  );
});

describe('quoteBounded', () => {
  it('keeps the beginning and the digest of the whole of a text that is too long', () => {
    const one = quoteBounded(`${'a'.repeat(300)}1`, 256);
    const other = quoteBounded(`${'a'.repeat(300)}2`, 256);
    expect(JSON.parse(one)).toMatch(/^a{256}… sha256:[0-9a-f]{64}$/);
    expect(one).not.toBe(other);
  });

  it('does not break a pair of surrogates into something that cannot be stored', () => {
    expect(JSON.parse(quoteBounded('x😀'.repeat(200), 256))).not.toMatch(LONE_SURROGATES);
  });
});

describe('integerText', () => {
  it.each([
    [0, '0'],
    [-1, '-1'],
    [Number.MAX_SAFE_INTEGER, '9007199254740991'],
    [2 ** 53, 'null'],
    [1.5, 'null'],
    [NaN, 'null'],
  ])('%p is written %p', (value, text) => {
    expect(integerText(value)).toBe(text);
  });
});

describe('valueText', () => {
  it('writes nested values as JSON.stringify does', () => {
    const value = { a: [1, 'two', null, true, { b: -0.5 }], c: undefined, d: new Date(0), e: {}, f: [undefined] };
    expect(valueText(value, 1000)).toBe(JSON.stringify(value));
  });

  it('keeps what JSON cannot say as text, and cleans names as well as values', () => {
    const value = {
      big: 2n ** 70n,
      nan: NaN,
      far: -Infinity,
      'na\0me\ud800': 'va\0lue',
      gone: () => 1,
      bad: new Date(NaN),
    };
    expect(JSON.parse(valueText(value, 1000))).toEqual({
      big: '1180591620717411303424',
      nan: 'NaN',
      far: '-Infinity',
      'na\ufffdme\ufffd': 'va\ufffdlue',
      bad: null,
    });
  });

  it('survives cycles and absurd depth', () => {
    const cycle: Record<string, unknown> = {};
    cycle['self'] = cycle;
    expect(valueText(cycle, 10_000)).toContain('(nested too deeply)');
  });

  it('replaces what is too long by its digest', () => {
    expect(JSON.parse(valueText({ text: 'a'.repeat(5000) }, 1000))).toEqual({
      omitted_bytes: 5011,
      sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
  });

  it('writes null for nothing', () => {
    expect(valueText(undefined, 10)).toBe('null');
  });
});
