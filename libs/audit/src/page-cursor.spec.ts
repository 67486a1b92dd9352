import { DomainError } from '@sibyl/kernel';
import { filterDigest } from './event-filter';
import { decodeCursor, encodeCursor, type PagePosition } from './page-cursor';

const position: PagePosition = {
  order: 'desc',
  filterDigest: filterDigest({ actor: 'ada' }),
  recordedAt: '2026-01-15T10:30:00.007Z',
  id: '0199aaaa-0000-7000-8000-000000000001',
  asOfMs: 1_768_473_000_000,
};

function coded(...members: unknown[]): string {
  return Buffer.from(JSON.stringify(members)).toString('base64url');
}

describe('page cursor', () => {
  it('comes back as it was given out', () => {
    expect(decodeCursor(encodeCursor(position), position)).toEqual(position);
  });

  it.each([
    ['nothing', ''],
    ['noise', '%%%'],
    ['no array', Buffer.from('{}').toString('base64url')],
    ['another version', coded(2, 'desc', position.filterDigest, position.recordedAt, position.id, 1)],
    ['another order', coded(1, 'sideways', position.filterDigest, position.recordedAt, position.id, 1)],
    ['a time that is SQL', coded(1, 'desc', position.filterDigest, "'; DROP TABLE audit.event", position.id, 1)],
    ['a time that does not exist', coded(1, 'desc', position.filterDigest, '2026-13-45T99:99:99.999Z', position.id, 1)],
    ['a id that is none', coded(1, 'desc', position.filterDigest, position.recordedAt, 'x', 1)],
    ['a fraction', coded(1, 'desc', position.filterDigest, position.recordedAt, position.id, 1.5)],
    ['too much', coded(1, 'desc', 'a'.repeat(2000), position.recordedAt, position.id, 1)],
    ['a number for the filter', coded(1, 'desc', 7, position.recordedAt, position.id, 1)],
    ['a cursor of the other order', encodeCursor({ ...position, order: 'asc' })],
    ['a cursor of another search', encodeCursor({ ...position, filterDigest: filterDigest({ actor: 'bob' }) })],
  ])('refuses %s as an invalid parameter', (_, cursor) => {
    expect(() => decodeCursor(cursor, position)).toThrow(
      expect.objectContaining({ code: 'invalid_parameter', faults: [expect.objectContaining({ pointer: '/cursor' })] }) as DomainError,
    );
  });
});
