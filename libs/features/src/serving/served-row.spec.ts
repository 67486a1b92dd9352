import type { FeatureSet } from '../definitions/feature-view';
import type { Frame } from '../engine/frame';
import type { ValueStatus } from '../feature-value';
import { servedRow } from './served-row';
import type { Selection } from './selection';

const AT = 1_000_000;

function rowOf(statuses: readonly ValueStatus[], policy?: Pick<FeatureSet, 'onMissing' | 'onStale'>) {
  const members = statuses.map((_, slot) => ({ name: `m${slot}`, view: 0, slot, source: 'stream', default: 7 }));
  const frame = {
    values: statuses.map((status) => (status === 'PRESENT' ? 1 : null)),
    statuses,
    times: statuses.map(() => AT),
  };
  const selection = { members, views: [], ...(policy && { set: policy }) } as unknown as Selection;
  return servedRow(selection, [frame as unknown as Frame]);
}

const defaults = { onMissing: 'default', onStale: 'default' } as const;

describe('a row as it is served', () => {
  it('has a default where the set says so, by whether the value is missing or stale', () => {
    const statuses: ValueStatus[] = ['PRESENT', 'NOT_FOUND', 'NULL', 'INVALID', 'STALE'];
    expect(rowOf(statuses, defaults)).toMatchObject({
      status: 'OK',
      values: [1, 7, 7, 7, 7],
      statuses: ['PRESENT', ...Array.from({ length: 4 }, () => 'DEFAULTED')],
      sources: ['stream', ...Array.from({ length: 4 }, () => 'default')],
    });
    expect(rowOf(statuses, { onMissing: 'default', onStale: 'null' }).statuses.at(-1)).toBe('STALE');
    expect(rowOf(statuses, { onMissing: 'error', onStale: 'default' }).statuses.slice(1)).toEqual([
      ...['NOT_FOUND', 'NULL', 'INVALID', 'DEFAULTED'],
    ]);
    expect(rowOf(statuses).statuses).toEqual(statuses);
  });

  it('passes nothing over in silence that is there and could not be read in time', () => {
    expect(rowOf(['PRESENT', 'TIMEOUT'], defaults)).toMatchObject({
      status: 'PARTIAL',
      values: [1, null],
      statuses: ['PRESENT', 'TIMEOUT'],
    });
  });

  it('is not found where nothing is known, and partial where something is missing', () => {
    expect(rowOf(['NOT_FOUND', 'NOT_FOUND']).status).toBe('NOT_FOUND');
    expect(rowOf(['NOT_FOUND', 'STALE']).status).toBe('PARTIAL');
  });
});
