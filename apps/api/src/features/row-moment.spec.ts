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
