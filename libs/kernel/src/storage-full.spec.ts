import { DomainError } from './domain-error';
import { isStorageFull, orStorageFull } from './storage-full';

const failure = (code: string): Error => Object.assign(new Error(code), { code });

describe('a full disk', () => {
  it.each(['ENOSPC', 'EDQUOT'])('that says %s is storage_full, with the reason for the log', async (code) => {
    const cause = failure(code);
    const write = orStorageFull(() => Promise.reject(cause));
    await expect(write).rejects.toMatchObject({ code: 'storage_full', retryAfterSeconds: 60, cause });
    expect(isStorageFull(cause)).toBe(true);
  });

  it('is nothing else', async () => {
    for (const other of [failure('EACCES'), new DomainError('queue_full', 'x')]) {
      await expect(orStorageFull(() => Promise.reject(other))).rejects.toBe(other);
      expect(isStorageFull(other)).toBe(false);
    }
    await expect(orStorageFull(() => Promise.resolve(7))).resolves.toBe(7);
  });
});
