import { canonicalFault, canonicalJson, countValues } from './canonical-json';

const LIMITS = { depth: 10, values: 1000 };
const DOCUMENT = {
  b: [1, -2.5, 1e21, 1e-7, 0, true, false, null, 'é', '\u2028', 'a"b\\c\n\u0001', '\ud83d\ude00', '\ud800'],
  a: { '': {}, ' ': [], 10: 1, 9: 2, __proto: 3, z: { y: [[], [{}]] } },
  ä: 'x'.repeat(1000),
};

/** What it is to be canonical, in other words: reading and writing change nothing. */
function isCanonical(text: string): boolean {
  try {
    return canonicalJson(JSON.parse(text)) === text;
  } catch {
    return false;
  }
}

describe('canonical JSON', () => {
  const text = canonicalJson(DOCUMENT);

  it('is what is written, and nothing else', async () => {
    expect(await canonicalFault(text, LIMITS)).toBeUndefined();
    expect(JSON.parse(text)).toEqual(DOCUMENT);
    const others = [
      '',
      ' 1',
      '1 ',
      '01',
      '-0',
      '1.0',
      '1E3',
      '"\\u0041"',
      '"\\/"',
      '"\t"',
      '[1,]',
      '[1 ,2]',
      '{"a":1,"a":1}',
    ];
    for (const other of [
      ...others,
      '{"b":1,"a":1}',
      '{"a"}',
      '{"a":}',
      '[',
      '{',
      '"',
      'nul',
      '1,2',
      '[]]',
      '{}{}',
      'NaN',
    ])
      expect([other, await canonicalFault(other, LIMITS)]).toEqual([other, expect.any(String)]);
  });

  it('is told from what is not wherever one character is another', async () => {
    const characters = '"\\{}[],:019-+.eE nu\u0000\u007fé';
    let seed = 20_260_115;
    let canonical = 0;
    for (let i = 0; i < 4000; i++) {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
      const at = seed % text.length;
      const put = characters[(seed >>> 8) % characters.length] ?? '';
      const mutant = text.slice(0, at) + put + text.slice(at + ((seed >>> 16) % 3));
      // Half of a pair of surrogates is no text that bytes can be read to.
      if (!mutant.isWellFormed()) continue;
      const expected = isCanonical(mutant);
      canonical += Number(expected);
      expect([mutant, (await canonicalFault(mutant, LIMITS)) === undefined]).toEqual([mutant, expected]);
    }
    expect(canonical).toBeGreaterThan(100);
  });

  it('has limits, and gives others a turn on the way', async () => {
    const deep = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels);
    expect(await canonicalFault(deep(11), LIMITS)).toBeUndefined();
    expect(await canonicalFault(deep(12), LIMITS)).toBe('more than 10 levels');
    const many = canonicalJson(Array<number>(999).fill(7));
    expect(countValues(JSON.parse(many))).toBe(1000);
    expect(await canonicalFault(many, LIMITS)).toBeUndefined();
    expect(await canonicalFault(canonicalJson(Array<number>(1000).fill(7)), LIMITS)).toBe('more than 1000 values');
    let turns = 0;
    const timer = setInterval(() => turns++, 0);
    const long = canonicalJson(Array<string>(200_000).fill('some text'));
    expect(await canonicalFault(long, { depth: 2, values: 300_000 })).toBeUndefined();
    clearInterval(timer);
    expect(turns).toBeGreaterThan(1);
  });
});
