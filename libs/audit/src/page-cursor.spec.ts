import { DomainError } from '@sibyl/kernel';
import { filterDigest } from './event-filter';
import { decodeCursor, encodeCursor, type PagePosition } from './page-cursor';

const last = { recordedAt: '2026-01-15T10:30:00.007Z', id: '0199aaaa-0000-7000-8000-000000000001' };
const asOf = { recordedAt: '2026-01-15T10:31:00.000Z', id: '0199aaaa-0000-7000-8000-000000000002' };
const position: PagePosition = { order: 'desc', filterDigest: filterDigest({ actor: 'ada' }), last, asOf };
const { filterDigest: digest } = position;

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
    ['another version', coded(2, 'desc', digest, last.recordedAt, last.id, asOf.recordedAt, asOf.id)],
    ['another order', coded(1, 'sideways', digest, last.recordedAt, last.id, asOf.recordedAt, asOf.id)],
    ['a time that is SQL', coded(1, 'desc', digest, "'; DROP TABLE audit.event", last.id, asOf.recordedAt, asOf.id)],
    [
      'a time that does not exist',
      coded(1, 'desc', digest, '2026-13-45T99:99:99.999Z', last.id, asOf.recordedAt, asOf.id),
    ],
    ['an id that is none', coded(1, 'desc', digest, last.recordedAt, 'x', asOf.recordedAt, asOf.id)],
    ['a bound that is none', coded(1, 'desc', digest, last.recordedAt, last.id, 7, asOf.id)],
    ['too much', coded(1, 'desc', 'a'.repeat(2000), last.recordedAt, last.id, asOf.recordedAt, asOf.id)],
    ['a number for the filter', coded(1, 'desc', 7, last.recordedAt, last.id, asOf.recordedAt, asOf.id)],
    ['a cursor of the other order', encodeCursor({ ...position, order: 'asc' })],
    ['a cursor of another search', encodeCursor({ ...position, filterDigest: filterDigest({ actor: 'bob' }) })],
  ])('refuses %s as an invalid parameter', (_, cursor) => {
    expect(() => decodeCursor(cursor, position)).toThrow(
      expect.objectContaining({
        code: 'invalid_parameter',
        faults: [expect.objectContaining({ pointer: '/cursor' })],
      }) as DomainError,
    );
  });
});
