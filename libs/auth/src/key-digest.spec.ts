import { createHmac, randomBytes } from 'node:crypto';
import { KeyDigest } from './key-digest';
import { newKeyText, parseKey } from './key-text';

describe('KeyDigest', () => {
  it('equals createHmac over prefix and secret, with and without the one-shot hash', () => {
    for (let i = 0; i < 300; i++) {
      const pepper = randomBytes(32);
      const { prefix, secret } = parseKey(newKeyText())!;
      const expected = createHmac('sha256', pepper).update(`${prefix}_${secret}`).digest();
      expect(new KeyDigest(pepper).of(prefix, secret)).toEqual(expected);
      expect(new KeyDigest(pepper, null).of(prefix, secret)).toEqual(expected);
    }
  });

  it('equals createHmac for messages of every length that it takes', () => {
    const pepper = randomBytes(32);
    const digest = new KeyDigest(pepper);
    for (let length = 0; length <= 63; length++) {
      const secret = 'x'.repeat(length);
      expect(digest.of('', secret)).toEqual(createHmac('sha256', pepper).update(`_${secret}`).digest());
    }
    expect(() => digest.of('', 'x'.repeat(64))).toThrow('Something went wrong inside.');
  });

  it('hands out digests that later calls do not change', () => {
    const digest = new KeyDigest(randomBytes(32));
    const first = digest.of('a', 'b');
    const copy = Buffer.from(first);
    digest.of('c', 'd');
    expect(first).toEqual(copy);
  });

  it('matches the stored digest of the same secret and nothing else', () => {
    const digest = new KeyDigest(randomBytes(32));
    const stored = digest.of('prefix', 'secret');
    expect(digest.matches('prefix', 'secret', stored)).toBe(true);
    expect(digest.matches('prefix', 'secreu', stored)).toBe(false);
    expect(digest.matches('prefiy', 'secret', stored)).toBe(false);
    expect(digest.matches('prefix', 'secret', undefined)).toBe(false);
    expect(new KeyDigest(randomBytes(32)).matches('prefix', 'secret', stored)).toBe(false);
  });

  it('compares an unknown prefix with the same work as a known one', () => {
    let hashes = 0;
    const counted = (): string => {
      hashes++;
      return '00'.repeat(32);
    };
    const digest = new KeyDigest(randomBytes(32), counted);
    hashes = 0;
    digest.matches('known', 'wrong', Buffer.alloc(32, 1));
    const known = hashes;
    digest.matches('unknown', 'wrong', undefined);
    expect(hashes - known).toBe(known);
    expect(known).toBe(2);
  });

  it('names its pepper without giving it away', () => {
    const pepper = randomBytes(32);
    expect(new KeyDigest(pepper).pepperId).toBe(new KeyDigest(pepper, null).pepperId);
    expect(new KeyDigest(pepper).pepperId).toMatch(/^[0-9a-f]{16}$/);
    expect(new KeyDigest(pepper).pepperId).not.toBe(new KeyDigest(randomBytes(32)).pepperId);
  });

  it('refuses a pepper that is not 32 bytes long', () => {
    expect(() => new KeyDigest(randomBytes(31))).toThrow();
    expect(() => new KeyDigest(randomBytes(64))).toThrow();
  });
});
