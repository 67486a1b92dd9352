import type { SetSelection } from '@sibyl/features';
import { DomainError } from '@sibyl/kernel';
import { momentOf } from './row-moment';

const NOW = Date.UTC(2026, 0, 15, 10, 30) * 1000;
const SKEW = 5_000_000;
const SELECTION = { views: [], members: [] } as unknown as SetSelection;

function asked(timestamp: string): unknown {
  try {
    return momentOf(SELECTION, { query: { timestamp }, features: {}, pointer: '/requests/3/features' }, NOW, SKEW).at;
  } catch (error) {
    if (!(error instanceof DomainError)) throw error;
    return [error.code, ...(error.faults ?? []).map(({ pointer }) => pointer)];
  }
}

const PLACE = '/requests/3/timestamp';

it.each<[string, unknown]>([
  ['2026-01-15T10:29:59Z', NOW - 1_000_000],
  ['2026-01-15T11:29:59.123456789+01:00', NOW - 1_000_000 + 123_456],
  ['1970-01-01T00:00:00Z', 0],
  ['2026-01-15T10:30:04Z', undefined],
  ['2026-01-15T10:30:06Z', ['timestamp_in_future', PLACE]],
  ['2199-12-31T23:59:59Z', ['timestamp_in_future', PLACE]],
  ['2200-01-01T00:00:00Z', ['timestamp_in_future', PLACE]],
  ['9999-01-01T00:00:00Z', ['timestamp_in_future', PLACE]],
  ['1969-12-31T23:59:59Z', ['invalid_parameter', PLACE]],
  ['0001-01-01T00:00:00Z', ['invalid_parameter', PLACE]],
  ['2026-01-15T10:29:59.1234567890Z', ['invalid_parameter', PLACE]],
])('%s', (timestamp, expected) => {
  expect(asked(timestamp)).toEqual(expected);
});
