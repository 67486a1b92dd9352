import { createHmac, randomBytes } from 'node:crypto';
import { PayloadDigest } from './payload-digest';

describe('PayloadDigest', () => {
  it('equals the HMAC of the platform for texts of every length, with and without the one-shot hash', () => {
    const key = randomBytes(32);
    const digest = new PayloadDigest(key);
    const slow = new PayloadDigest(key, null);
    for (const text of ['', 'a', 'é€😀'.repeat(50), 'x'.repeat(100_000), '\ud800']) {
      const expected = `hmac-sha256:${createHmac('sha256', key).update(text).digest('hex')}`;
      expect(digest.of(text)).toBe(expected);
      expect(slow.of(text)).toBe(expected);
    }
  });
});
