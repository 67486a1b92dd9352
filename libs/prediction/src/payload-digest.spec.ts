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

  it('is the same in slices, whatever the pieces', async () => {
    const digest = new PayloadDigest(randomBytes(32));
    const bytes = randomBytes(700_000);
    let turns = 0;
    const pace = { due: true, next: () => Promise.resolve(void turns++) };
    for (const cuts of [[], [0], [1, 300_000], [262_144]]) {
      const pieces = [0, ...cuts].map((from, i) => bytes.subarray(from, cuts[i] ?? bytes.length));
      expect(await digest.ofLong(pieces, pace)).toBe(digest.of(bytes));
    }
    expect(turns).toBeGreaterThanOrEqual(12);
  });
});
