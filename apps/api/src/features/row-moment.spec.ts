import type { SetSelection } from '@sibyl/features';
import { momentOf } from './row-moment';

const NOW = Date.UTC(2026, 0, 1) * 1000;
const SKEW = 5_000_000;
const set = { views: [], programs: [], members: [] } as unknown as SetSelection;
const asked = (timestamp?: string): ReturnType<typeof momentOf> => {
  const query = timestamp === undefined ? {} : { timestamp };
  return momentOf(set, { query, features: {}, pointer: '/requests/1/features' }, NOW, SKEW);
};

it('a prediction is of now, of a moment that has come, or of now where clocks differ by no more than they may', () => {
  expect(asked().at).toBeUndefined();
  expect(asked('2025-12-31T23:59:59.999999Z').at).toBe(NOW - 1);
  expect(asked('2026-01-01T00:00:00Z').at).toBeUndefined();
  expect(asked('2026-01-01T00:00:05Z').at).toBeUndefined();
  const faults = [expect.objectContaining({ pointer: '/requests/1/timestamp' })];
  expect(() => asked('2026-01-01T00:00:05.000001Z')).toThrow(
    expect.objectContaining({ code: 'timestamp_in_future', faults }),
  );
});

const PLACE = '/requests/1/timestamp';

it.each([
  ['2026-01-01T00:00:06Z', 'timestamp_in_future'],
  ['2199-12-31T23:59:59Z', 'timestamp_in_future'],
  ['2200-01-01T00:00:00Z', 'timestamp_in_future'],
  ['9999-01-01T00:00:00Z', 'timestamp_in_future'],
  ['1969-12-31T23:59:59Z', 'invalid_parameter'],
  ['0001-01-01T00:00:00Z', 'invalid_parameter'],
  ['2025-12-31T23:59:59.1234567890Z', 'invalid_parameter'],
])('%s is refused: %s', (timestamp, code) => {
  const faults = [expect.objectContaining({ pointer: PLACE })];
  expect(() => asked(timestamp)).toThrow(expect.objectContaining({ code, faults }));
});

it('the first moment that is known of is that of 1970, and nanoseconds are read as microseconds', () => {
  expect(asked('1970-01-01T00:00:00Z').at).toBe(0);
  expect(asked('2026-01-01T00:59:59.123456789+01:00').at).toBe(NOW - 1_000_000 + 123_456);
});
