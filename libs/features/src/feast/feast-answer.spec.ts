import type { ValueStatus } from '../feature-value';
import type { ReadAnswer } from '../serving/feature-reads';
import { ServedRow } from '../serving/served-row';
import { feastAnswer } from './feast-answer';

const T = Date.UTC(2026, 0, 1) * 1000;
const rowOf = (statuses: ValueStatus[], seconds: number[]): ServedRow =>
  new ServedRow(
    statuses.map((status, i) => (status === 'PRESENT' ? i + 0.5 : null)),
    statuses,
    seconds.map((second) => T + second * 1e6),
    statuses.map(() => 'stream'),
  );

async function columnsOf(...rows: ServedRow[]): Promise<object[]> {
  const keys = { k: rows.map((_, i) => `e${i}`) };
  const text = await feastAnswer(keys, ['a', 'b'], { rows } as unknown as ReadAnswer);
  const { results, metadata } = JSON.parse(text) as { results: object[]; metadata: object };
  expect(metadata).toEqual({ feature_names: ['k', 'a', 'b'] });
  return results.slice(1);
}

const iso = (second: number): string => `2026-01-01T00:00:0${second}Z`.replace('Z', '.000Z');

describe('an answer for a client of Feast', () => {
  it('has of each column its own times, where values of one entity are not of one time', async () => {
    expect(await columnsOf(rowOf(['PRESENT', 'PRESENT'], [1, 2]), rowOf(['PRESENT', 'PRESENT'], [3, 3]))).toEqual([
      { values: [0.5, 0.5], statuses: ['PRESENT', 'PRESENT'], event_timestamps: [iso(1), iso(3)] },
      { values: [1.5, 1.5], statuses: ['PRESENT', 'PRESENT'], event_timestamps: [iso(2), iso(3)] },
    ]);
  });

  it('has of each column its own statuses', async () => {
    expect(await columnsOf(rowOf(['PRESENT', 'STALE'], [1, 1]), rowOf(['PRESENT', 'PRESENT'], [1, 1]))).toEqual([
      { values: [0.5, 0.5], statuses: ['PRESENT', 'PRESENT'], event_timestamps: [iso(1), iso(1)] },
      { values: [null, 1.5], statuses: ['OUTSIDE_MAX_AGE', 'PRESENT'], event_timestamps: [iso(1), iso(1)] },
    ]);
  });

  it('has what has no time at the beginning of time', async () => {
    const [column] = await columnsOf(rowOf(['NOT_FOUND', 'NOT_FOUND'], [Number.NaN, Number.NaN]));
    expect(column).toEqual({ values: [null], statuses: ['NOT_FOUND'], event_timestamps: ['1970-01-01T00:00:00Z'] });
    const [mixed] = await columnsOf(rowOf(['PRESENT', 'PRESENT'], [1, 1]), rowOf(['NULL', 'NULL'], [Number.NaN, 2]));
    expect(mixed).toMatchObject({ event_timestamps: [iso(1), '1970-01-01T00:00:00Z'] });
  });

  it.each<[ValueStatus, string]>([
    ['PRESENT', 'PRESENT'],
    ['DEFAULTED', 'PRESENT'],
    ['NULL', 'NULL_VALUE'],
    ['WARMING_UP', 'NULL_VALUE'],
    ['NOT_FOUND', 'NOT_FOUND'],
    ['STALE', 'OUTSIDE_MAX_AGE'],
    ['NON_FINITE', 'INVALID'],
    ['INVALID', 'INVALID'],
    ['TIMEOUT', 'INVALID'],
  ])('calls %s %s', async (status, called) => {
    expect(await columnsOf(rowOf([status, status], [1, 1]))).toMatchObject([
      { statuses: [called] },
      { statuses: [called] },
    ]);
  });
});
