import type { Frame } from '../engine/frame';
import { Program } from '../engine/program';
import type { ValueStatus } from '../feature-value';
import { planOf, streamOf, type TestFeature } from '../testing/test-plans';
import { lackingInputs } from './request-inputs';
import type { SelectedMember, Selection } from './selection';

const FEATURES: TestFeature[] = [
  { name: 'x', op: 'last', stream: 'ticks', inputs: ['x'] },
  { name: 'amount', request: 'double' },
  { name: 'fee', request: 'double', default: 1 },
  { name: 'tip', request: 'double' },
  { name: 'cost', expression: 'amount * 2.0 + fee', of: ['amount', 'fee'] },
  { name: 'costs', expression: 'cost + x', of: ['cost', 'x'] },
  { name: 'half', expression: 'x / 2.0', of: ['x'] },
];
const ticks = streamOf('ticks', 'event_id', { x: 'double' });
const programs = ['paid', 'other'].map((name) => new Program(planOf([ticks], FEATURES, name)));

/** Of a set with these members, by the name that it calls them: of which view, and what that calls them. */
function missingFor(member: string, called: Readonly<Record<string, readonly [number, string]>>, given: string[] = []) {
  const members = Object.entries(called).map(([name, [view, feature]]) => {
    const slot = programs[view]?.slots.get(feature);
    return { name, feature, type: 'double', view, slot, source: 'stream', required: true } as SelectedMember;
  });
  const views = programs.map((program) => ({ view: program.plan.view, program }));
  const sources = members.map(({ source }) => source);
  const selection: Selection = { views, programs, members, sources, kept: () => undefined };
  const asked = members.find(({ name }) => name === member) as SelectedMember;
  const statuses = FEATURES.map(({ name }): ValueStatus => {
    if (given.includes(name)) return 'PRESENT';
    return name === 'fee' ? 'DEFAULTED' : 'NOT_FOUND';
  });
  // What is given rests on nothing.
  const values = FEATURES.map(({ name }) => (given.includes(name) ? 1 : undefined));
  const frame = { statuses, given: { values, key: '' } } as unknown as Frame;
  return lackingInputs(selection, asked, frame).map(({ name }) => name);
}

describe('what a request would have to give for a member', () => {
  it('is what it rests on that only a request knows, that is not there, and nothing else', () => {
    const members = { costs: [0, 'costs'], half: [0, 'half'] } as const;
    expect(missingFor('costs', members)).toEqual(['amount']);
    expect(missingFor('costs', members, ['amount'])).toEqual([]);
    expect(missingFor('costs', members, ['cost'])).toEqual([]);
    expect(missingFor('half', members)).toEqual([]);
  });

  it('is named as the set calls it, where that has it, and not as it calls what another view has in that place', () => {
    expect(missingFor('c', { paid_amount: [0, 'amount'], c: [0, 'cost'] })).toEqual(['paid_amount']);
    expect(missingFor('c', { other_amount: [1, 'amount'], c: [0, 'cost'] })).toEqual(['amount']);
  });

  it('is not the member itself, which is named already', () => {
    expect(missingFor('tip', { tip: [0, 'tip'] })).toEqual([]);
  });
});
