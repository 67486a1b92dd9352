import type { FeatureSet } from '../definitions/feature-view';
import type { Frame } from '../engine/frame';
import type { ValueStatus } from '../feature-value';
import { servedRow } from './served-row';
import type { Selection } from './selection';

const AT = 1_000_000;

function rowOf(
  statuses: readonly ValueStatus[],
  policy?: Pick<FeatureSet, 'onMissing' | 'onStale'>,
  given?: readonly unknown[],
) {
  const members = statuses.map((_, slot) => ({ name: `m${slot}`, view: 0, slot, source: 'stream', default: 7 }));
  const frame = {
    values: statuses.map((status) => (status === 'PRESENT' ? 1 : null)),
    statuses,
    times: statuses.map(() => AT),
    ...(given && { given: { values: given, key: '' } }),
  };
  const selection = {
    members,
    sources: statuses.map(() => 'stream'),
    views: [],
    ...(policy && { set: policy }),
  } as unknown as Selection;
  return servedRow(selection, [frame as unknown as Frame]);
}

const defaults = { onMissing: 'default', onStale: 'default' } as const;

describe('a row as it is served', () => {
  it('has a default where the set says so, by whether the value is missing or stale', () => {
    const statuses: ValueStatus[] = ['PRESENT', 'NOT_FOUND', 'NULL', 'TIMEOUT', 'STALE'];
    expect(rowOf(statuses, defaults)).toMatchObject({
      status: 'OK',
      values: [1, 7, 7, 7, 7],
      statuses: ['PRESENT', ...Array.from({ length: 4 }, () => 'DEFAULTED')],
      sources: ['stream', ...Array.from({ length: 4 }, () => 'default')],
    });
    expect(rowOf(statuses, { onMissing: 'default', onStale: 'null' }).statuses.at(-1)).toBe('STALE');
    expect(rowOf(statuses, { onMissing: 'error', onStale: 'default' }).statuses.slice(1)).toEqual([
      ...['NOT_FOUND', 'NULL', 'TIMEOUT', 'DEFAULTED'],
    ]);
    expect(rowOf(statuses).statuses).toEqual(statuses);
  });

  it('never passes over what the request gives, be it null or what its rules reject', () => {
    expect(rowOf(['NULL', 'INVALID', 'NOT_FOUND'], defaults, [null, 5, undefined])).toMatchObject({
      status: 'PARTIAL',
      statuses: ['NULL', 'INVALID', 'DEFAULTED'],
      sources: ['request', 'request', 'default'],
    });
  });

  it('is not found where nothing is known, and partial where something is missing', () => {
    expect(rowOf(['NOT_FOUND', 'NOT_FOUND']).status).toBe('NOT_FOUND');
    expect(rowOf(['NOT_FOUND', 'STALE']).status).toBe('PARTIAL');
  });
});
