import { globWithin, isGlob, matchesGlob } from './glob';

describe('matchesGlob', () => {
  it.each([
    ['momentum', 'momentum', true],
    ['momentum', 'momentum2', false],
    ['mom*', 'momentum', true],
    ['*tum', 'momentum', true],
    ['*', '', true],
    ['*', 'anything', true],
    ['m*m*m', 'momentum', true],
    ['m*x*m', 'momentum', false],
    ['fraud_?', 'fraud_1', true],
    ['fraud_?', 'fraud_', false],
    ['a.b', 'axb', false],
    ['', '', true],
    ['', 'a', false],
    ['Momentum', 'momentum', false],
    ['**', 'x', true],
    ['a*b', 'ab', true],
  ])('%s on %s is %s', (glob, name, expected) => {
    expect(matchesGlob(glob, name)).toBe(expected);
  });

  it('agrees with a regular expression on random globs and names', () => {
    const pick = (letters: string, length: number): string =>
      Array.from({ length }, () => letters.charAt(Math.floor(Math.random() * letters.length))).join('');
    for (let i = 0; i < 20_000; i++) {
      const glob = pick('ab*?', Math.floor(Math.random() * 7));
      const name = pick('ab', Math.floor(Math.random() * 7));
      const pattern = new RegExp(`^${glob.replaceAll('*', '.*').replaceAll('?', '.')}$`);
      expect([glob, name, matchesGlob(glob, name)]).toEqual([glob, name, pattern.test(name)]);
    }
  });

  it('stays quick on globs made to be slow', () => {
    const glob = `${'a*'.repeat(60)}b`;
    let calls = 0;
    for (; calls < 100; calls++) expect(matchesGlob(glob, 'a'.repeat(128))).toBe(false);
    expect(calls).toBe(100);
  });
});

describe('globWithin', () => {
  it.each([
    ['momentum', 'mom*', true],
    ['mom*', '*', true],
    ['mom*', 'mom*', true],
    ['mom*', 'm*', true],
    ['*', 'mom*', false],
    ['m*', 'mom*', false],
    ['a?', 'a*', true],
    ['a*', 'a?', false],
    ['a?', 'ab', false],
    ['?', '?', true],
    ['*a', '*', true],
    ['*', '?', false],
  ])('%s within %s is %s', (inner, outer, expected) => {
    expect(globWithin(inner, outer)).toBe(expected);
  });

  it('never calls a glob within another that misses one of its names', () => {
    const words = ['', 'a', 'b', 'aa', 'ab', 'ba', 'bb', 'aab', 'aba', 'abb', 'bab', 'bba', 'abab', 'aabb'];
    const letters = ['a', 'b', '*', '?'];
    const globs = letters.flatMap((x) => ['', ...letters].flatMap((y) => ['', ...letters].map((z) => x + y + z)));
    for (const inner of globs) {
      for (const outer of globs) {
        if (!globWithin(inner, outer)) continue;
        for (const word of words) {
          if (matchesGlob(inner, word)) expect([inner, outer, matchesGlob(outer, word)]).toEqual([inner, outer, true]);
        }
      }
    }
  });
});

describe('isGlob', () => {
  it('takes the characters of names, stars and question marks, up to 128 of them', () => {
    for (const glob of ['*', 'fraud_*', 'a.b-c+d?', 'x'.repeat(128)]) expect(isGlob(glob)).toBe(true);
    for (const glob of ['', 'a b', 'a/b', '[a]', 'é', 'a\n', 'x'.repeat(129)]) expect(isGlob(glob)).toBe(false);
  });
});
