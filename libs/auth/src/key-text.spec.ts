import { randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { KEY_PATTERN, newKeyText, parseKey } from './key-text';

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

function base62(value: number): string {
  let text = '';
  for (let i = 0; i < 6; i++) {
    text = ALPHABET.charAt(value % 62) + text;
    value = Math.floor(value / 62);
  }
  return text;
}

describe('key text', () => {
  it('reads sk_<12>_<43><6>, its last six characters the CRC-32 of all before', () => {
    for (let i = 0; i < 500; i++) {
      const text = newKeyText();
      expect(text).toMatch(/^sk_[0-9A-Za-z]{12}_[0-9A-Za-z]{49}$/);
      expect(text).toMatch(KEY_PATTERN);
      expect(text.slice(-6)).toBe(base62(crc32(text.slice(0, -6))));
      expect(parseKey(text)).toEqual({ prefix: text.slice(3, 15), secret: text.slice(16, 59) });
    }
  });

  it('is refused when any one character is changed, lost, doubled or added', () => {
    const text = newKeyText();
    for (let i = 0; i < text.length; i++) {
      for (const letter of ['0', 'z', 'A', '_', '-', ' ', 'é', '\u0000', '\u{1F600}']) {
        if (letter === text[i]) continue;
        expect(parseKey(text.slice(0, i) + letter + text.slice(i + 1))).toBeUndefined();
      }
      expect(parseKey(text.slice(0, i) + text.slice(i + 1))).toBeUndefined();
      expect(parseKey(text.slice(0, i) + text.charAt(i) + text.slice(i))).toBeUndefined();
    }
    for (const wrong of ['', 'sk_', `${text} `, ` ${text}`, `${text}\n`, text.toUpperCase(), text.repeat(1_000)]) {
      expect(parseKey(wrong)).toBeUndefined();
    }
  });

  it('never takes two neighbours in the wrong order', () => {
    const text = newKeyText();
    for (let i = 3; i < text.length - 1; i++) {
      const [a, b] = [text.charAt(i), text.charAt(i + 1)];
      if (a !== b) expect(parseKey(text.slice(0, i) + b + a + text.slice(i + 2))).toBeUndefined();
    }
  });

  it('gives every letter the same chance', () => {
    const counts = new Map<string, number>();
    const keys = 4_000;
    for (let i = 0; i < keys; i++) {
      for (const letter of parseKey(newKeyText())!.secret) counts.set(letter, (counts.get(letter) ?? 0) + 1);
    }
    const expected = (keys * 43) / 62;
    const chiSquare = Array.from(ALPHABET).reduce(
      (sum, letter) => sum + ((counts.get(letter) ?? 0) - expected) ** 2 / expected,
      0,
    );
    // 61 degrees of freedom: above 130 by chance once in a million runs; taking bytes modulo 62 gives about 2,000.
    expect(chiSquare).toBeLessThan(130);
  });

  it('throws bytes away that would favour some letters, and asks for more when they run out', () => {
    let calls = 0;
    const text = newKeyText((bytes) => (calls++ % 2 === 0 ? new Uint8Array(bytes).fill(255) : randomBytes(bytes)));
    expect(parseKey(text)).toBeDefined();
    expect(calls).toBeGreaterThanOrEqual(4);
  });

  it('never comes twice', () => {
    expect(new Set(Array.from({ length: 2_000 }, () => newKeyText())).size).toBe(2_000);
  });
});
