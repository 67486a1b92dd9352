import { Program } from '../engine/program';
import { planOf, streamOf, type TestFeature } from '../testing/test-plans';
import { LISTS, readRows, type AskedRow } from './entity-rows';
import type { SelectedMember, Selection } from './selection';

const ticks = streamOf('ticks', 'event_id', { x: 'double' });
const request = (name: string): TestFeature => ({ name, request: 'double' });
const programs = [
  new Program(planOf([ticks], [request('amount'), request('fee')], 'paid')),
  new Program(planOf([ticks], [request('fee'), request('tip')], 'other')),
];
const views = programs.map((program) => ({ view: program.plan.view, program }));
/** The set calls the tip `amount`, which the first view has another one of. */
const members = [
  { name: 'amount', feature: 'tip', type: 'double', view: 1, slot: 1, source: 'request', required: false },
] as const satisfies readonly SelectedMember[];
const set: Selection = { views, programs, members, sources: ['request'] };
const key = programs[0]?.plan.view.entity.name ?? '';

const read = (...rows: readonly AskedRow[]) => readRows(set, rows, LISTS);
/** By view, what is given of its slots. */
const givenBy = (given: unknown): unknown =>
  read({ entity: { [key]: 'A' }, given })[0]?.given?.map((one) => one?.values ?? null);
const refusal = (...faults: object[]): Error =>
  expect.objectContaining({
    code: 'invalid_parameter',
    faults: faults.map((one) => expect.objectContaining(one) as object),
  }) as Error;

describe('what a request gives of features', () => {
  it('is what the set calls it, or its view, or view and feature', () => {
    expect(givenBy({ amount: 1 })).toEqual([null, [undefined, 1]]);
    expect(givenBy({ tip: 2 })).toEqual([null, [undefined, 2]]);
    expect(givenBy({ 'paid:amount': 3, 'other:fee': 4 })).toEqual([
      [3, undefined],
      [4, undefined],
    ]);
  });

  it('is asked for by the name of its view where several have it', () => {
    const fault = { pointer: '/given/0/fee', expected: 'view:feature, as more than one view has it' };
    expect(() => givenBy({ fee: 1 })).toThrow(refusal(fault));
  });

  it.each([
    ['amout', "did you mean 'amount'?"],
    ['other:amount', undefined],
    ['nobody:fee', undefined],
    // As long as the name of a view.
    ['nope:fee', undefined],
  ])('is refused where nothing is called %s', (name, hint) => {
    const fault = { pointer: `/given/0/${name}`, expected: 'a feature that is read', ...(hint && { hint }) };
    expect(() => givenBy({ [name]: 1 })).toThrow(refusal(fault));
  });

  it('is of its type', () => {
    expect(() => givenBy({ tip: 'x' })).toThrow(refusal({ pointer: '/given/0/tip', expected: 'double' }));
    for (const given of [[], 7, null]) expect(() => givenBy(given)).toThrow(refusal({ pointer: '/given/0' }));
  });

  it('is of its own row, and read once for rows that share it', () => {
    const [entity, all] = [{ [key]: 'A' }, { tip: 1 }];
    const rows = read({ entity, given: all }, { entity, given: all }, { entity, given: { tip: 2 } }, { entity });
    expect(rows.map(({ given }) => given?.[1]?.values[1])).toEqual([1, 1, 2, undefined]);
    expect(rows[1]?.given?.[1]).toBe(rows[0]?.given?.[1]);
  });
});

describe('the keys of a row', () => {
  it('are those of its views, and no others', () => {
    expect(read({ entity: { [key]: 'A' } })).toMatchObject([{ entities: ['A', 'A'] }]);
    const unknown = { pointer: '/entities/1/crd', expected: `one of ${key}` };
    expect(() => read({ entity: { [key]: 'A' } }, { entity: { [key]: 'A', crd: 'B' } })).toThrow(refusal(unknown));
    const missing = { pointer: `/entities/0/${key}`, expected: 'text' };
    // Both views ask for it, and it is one thing that is missing.
    expect(() => read({ entity: {} })).toThrow(refusal(missing));
    for (const entity of ['A', null, ['A']])
      expect(() => read({ entity })).toThrow(refusal({ pointer: '/entities/0' }));
  });

  it('that are wrong are told up to a number of faults', () => {
    const rows = Array.from({ length: 1000 }, () => ({ entity: 'A' }));
    try {
      read(...rows);
    } catch (error) {
      expect((error as { faults: object[] }).faults).toHaveLength(64);
    }
    expect.assertions(1);
  });
});
