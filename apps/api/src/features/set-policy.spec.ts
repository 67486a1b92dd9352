import { servedRow, VALUE_STATUSES, type FeatureValue, type Frame, type SetSelection } from '@sibyl/features';
import { DomainError } from '@sibyl/kernel';
import type { FeatureSlot } from '@sibyl/prediction';
import { elementWriter } from '@sibyl/protocol';
import { Metrics } from '@sibyl/telemetry';
import { bindMembers } from './bound-member';
import { PolicyRow } from './set-policy';

const MISSING = ['error', 'null', 'default'] as const;
const VALUE = 7;
const DEFAULT = -1;
const AT = 1_000_000_000;

/** A request that calls what it gives by the name of the view. */
const SENT = { pointer: '/features', nameOf: (): string => 'seen' };

const metrics = new Metrics();
afterAll(() => metrics.close());

type Policies = Pick<SetSelection['set'], 'onMissing' | 'onStale'>;

function selectionOf(policies: Policies): SetSelection {
  const member = { name: 'x', feature: 'x', type: 'double', default: DEFAULT } as const;
  const set = { name: 's', hash: 'h', minCompleteness: 0, members: [member], ...policies };
  const members = [{ ...member, view: 0, slot: 0, source: 'stream' }];
  const views = [{ view: { name: 'v' }, program: { plan: { steps: [], outputs: [] } } }];
  return { set, members, sources: ['stream'], views, programs: [], reference: 's@h' } as unknown as SetSelection;
}

function frameOf(status: Frame['statuses'][number], keepStale: boolean, given?: FeatureValue): Frame {
  const has = status === 'PRESENT' || status === 'DEFAULTED' || (status === 'STALE' && keepStale);
  return {
    ...{ at: AT, values: [has ? VALUE : null], statuses: [status], times: [AT - 5e6], basis: [], from: 0, until: AT },
    keepsStale: keepStale,
    ...{ found: true, calmFrom: 0, calmUntil: AT },
    ...(given === undefined ? {} : { given: { values: [given], key: 'given' } }),
  };
}

const slotOf = (datatype: 'FP64' | 'INT8'): FeatureSlot =>
  ({ name: 'x', shape: [], datatype, write: elementWriter(datatype), nullable: true }) as unknown as FeatureSlot;

function policyRow(selection: SetSelection, frame: Frame, slot = slotOf('FP64')): PolicyRow {
  return new PolicyRow(selection, bindMembers(selection, [slot], metrics), [frame]);
}

function codeOf(row: PolicyRow, unread?: 'failed'): string | undefined {
  try {
    row.conclude(SENT, AT, unread);
    return undefined;
  } catch (error) {
    return (error as DomainError).code;
  }
}

/** What could not be read is no fault of the request, and never null to a model. */
function refusal(status: string, policy: string, refused: boolean): string | undefined {
  if (status === 'TIMEOUT' && policy !== 'default') return 'deadline_exceeded';
  return refused ? 'incomplete_features' : undefined;
}

const every = MISSING.flatMap((onMissing) =>
  ([...MISSING, 'degrade'] as const).flatMap((onStale) =>
    VALUE_STATUSES.map((status) => ({ onMissing, onStale, status })),
  ),
);

it.each(every)(
  'a model gets what a read shows: $status, on_missing $onMissing, on_stale $onStale',
  ({ status, ...policies }) => {
    const selection = selectionOf(policies);
    const frame = frameOf(status, policies.onStale === 'degrade');
    const shown = servedRow(selection, [frame]);
    const row = policyRow(selection, frame);
    const policy = status === 'STALE' ? policies.onStale : policies.onMissing;
    const isThere = status === 'PRESENT' || status === 'DEFAULTED' || (status === 'STALE' && policy === 'degrade');
    expect(shown.statuses).toEqual([isThere || policy !== 'default' ? status : 'DEFAULTED']);
    expect(shown.values).toEqual([isThere ? VALUE : policy === 'default' ? DEFAULT : null]);
    expect([...row.statuses.keys()]).toEqual(shown.statuses);
    expect(row.defaulted).toEqual(shown.statuses[0] === 'DEFAULTED' ? ['x'] : []);
    expect(row.stale).toEqual(status === 'STALE' && isThere ? ['x'] : []);
    const refused = !isThere && policy === 'error';
    expect(codeOf(row)).toBe(refusal(status, policy, refused));
    expect([...row.values.values()]).toEqual(refused ? [] : shown.values);
  },
);

it('what the request gives is passed over by no default: null stays null, and what rules reject is refused', () => {
  const selection = selectionOf({ onMissing: 'default', onStale: 'default' });
  const nothing = frameOf('NULL', false, null);
  expect(servedRow(selection, [nothing])).toMatchObject({ values: [null], statuses: ['NULL'], sources: ['request'] });
  expect(policyRow(selection, nothing)).toMatchObject({ defaulted: [], amended: [] });
  const rejected = frameOf('INVALID', false, 3);
  expect(servedRow(selection, [rejected])).toMatchObject({ values: [null], statuses: ['INVALID'] });
  expect(codeOf(policyRow(selection, rejected))).toBe('input_not_allowed');
});

describe('what could not be read', () => {
  const unread = frameOf('TIMEOUT', false);
  const policies = { onMissing: 'null', onStale: 'null' } as const;

  it('says why: the log was too slow, or failed', () => {
    expect(codeOf(policyRow(selectionOf(policies), unread))).toBe('deadline_exceeded');
    expect(codeOf(policyRow(selectionOf(policies), unread), 'failed')).toBe('database_unavailable');
  });

  it('has the default of the manifest in its stead, which the answer names', () => {
    const slot = { ...slotOf('FP64'), nullable: false, defaultValue: 3 };
    const row = policyRow(selectionOf(policies), unread, slot);
    expect(codeOf(row)).toBeUndefined();
    expect(row.values.size).toBe(0);
  });

  it('is why too few have a value', () => {
    const selection = selectionOf(policies);
    const complete = { ...selection, set: { ...selection.set, minCompleteness: 1 } };
    const slot = { ...slotOf('FP64'), nullable: false, defaultValue: 3 };
    expect(codeOf(policyRow(complete, unread, slot), 'failed')).toBe('database_unavailable');
    expect(codeOf(policyRow(complete, frameOf('NOT_FOUND', false), slot))).toBe('incomplete_features');
  });
});

it('too few are there: the errors name what has no value, and what rules make null of what the request gives', () => {
  const selection = selectionOf({ onMissing: 'null', onStale: 'null' });
  const complete = { ...selection, set: { ...selection.set, minCompleteness: 1 } };
  const left = policyRow(complete, frameOf('NULL', false));
  const made = policyRow(complete, frameOf('NULL', false, 3));
  const faults = [{ pointer: '/features/seen', expected: 'a value', received: expect.stringMatching(/^NULL/) }];
  for (const row of [left, made])
    expect(() => row.conclude(SENT, AT)).toThrow(expect.objectContaining({ code: 'incomplete_features', faults }));
});

it('null that the request gives is a value of a feature that takes it', () => {
  const selection = selectionOf({ onMissing: 'error', onStale: 'error' });
  const complete = { ...selection, set: { ...selection.set, minCompleteness: 1 } };
  const row = policyRow(complete, frameOf('NULL', false, null));
  expect(codeOf(row)).toBeUndefined();
  expect(row.values).toEqual(new Map([['x', null]]));
});

it('what rules make of a given value is refused where the model cannot have it, by the name that the request has for it', () => {
  const selection = selectionOf({ onMissing: 'default', onStale: 'default' });
  const strict = { ...slotOf('FP64'), nullable: false, defaultValue: 3 } as FeatureSlot;
  const large = { ...frameOf('PRESENT', false, 3), values: [300] };
  const faults = [{ pointer: '/features/seen', expected: 'what its rules allow' }];
  for (const row of [
    policyRow(selection, frameOf('NULL', false, 3), strict),
    policyRow(selection, large, slotOf('INT8')),
  ]) {
    expect(row).toMatchObject({ defaulted: [], amended: [] });
    expect(() => row.conclude(SENT, AT)).toThrow(expect.objectContaining({ code: 'input_not_allowed', faults }));
  }
});

it('what is not there is not said to be old', () => {
  const selection = selectionOf({ onMissing: 'error', onStale: 'error' });
  const faults = (status: Frame['statuses'][number]): unknown => {
    try {
      policyRow(selection, frameOf(status, false)).conclude(SENT, AT);
      return undefined;
    } catch (error) {
      return (error as DomainError).faults;
    }
  };
  expect(faults('STALE')).toMatchObject([{ received: 'STALE, 5 s old' }]);
  expect(faults('NOT_FOUND')).toMatchObject([{ received: 'NOT_FOUND' }]);
});

it('a required feature is not done without, whatever the policy, and whoever leaves it out', () => {
  const selection = selectionOf({ onMissing: 'null', onStale: 'null' });
  const required = { ...selection, members: selection.members.map((member) => ({ ...member, required: true })) };
  for (const frame of [frameOf('NOT_FOUND', false), frameOf('STALE', false), frameOf('NULL', false, null)]) {
    expect(codeOf(policyRow(selection, frame))).toBeUndefined();
    expect(codeOf(policyRow(required, frame))).toBe('incomplete_features');
  }
  for (const frame of [frameOf('PRESENT', false), frameOf('DEFAULTED', false)])
    expect(codeOf(policyRow(required, frame))).toBeUndefined();
});

it('what the datatype of the model cannot hold is missing to that model alone', () => {
  const large = { ...frameOf('PRESENT', false), values: [300] };
  const selection = selectionOf({ onMissing: 'default', onStale: 'error' });
  expect(servedRow(selection, [large])).toMatchObject({ values: [300], statuses: ['PRESENT'] });
  const row = policyRow(selection, large, slotOf('INT8'));
  expect(row.defaulted).toEqual(['x']);
  expect(row.values.get('x')).toBe(DEFAULT);
  expect(codeOf(policyRow(selectionOf({ onMissing: 'error', onStale: 'error' }), large, slotOf('INT8')))).toBe(
    'incomplete_features',
  );
});

it('a model gets what the request gives by the name of the view, and null only where it takes one', () => {
  const selection = selectionOf({ onMissing: 'null', onStale: 'null' });
  const given = (status: Frame['statuses'][number], value: FeatureValue): Frame => ({
    ...frameOf(status, false, value),
    values: [value],
  });
  expect(policyRow(selection, given('PRESENT', 3)).values).toEqual(new Map([['x', 3]]));
  expect(policyRow(selection, given('NULL', null)).values).toEqual(new Map([['x', null]]));
  const strict = { ...slotOf('FP64'), nullable: false } as FeatureSlot;
  expect(policyRow(selection, given('NULL', null), strict).values).toEqual(new Map());
  expect(policyRow(selection, given('PRESENT', 300), slotOf('INT8')).values).toEqual(new Map());
  // What rules put in its place is named as what stands in.
  const replaced = policyRow(selection, frameOf('DEFAULTED', false, 3));
  expect([replaced.defaulted, replaced.values.get('x')]).toEqual([['x'], VALUE]);
  expect(replaced.amended.map(({ value }) => value)).toEqual([VALUE]);
});

it('after what has no value stands what the request would have to give for it, and nothing twice', () => {
  const steps = [
    { kind: 'request', slot: 0, feature: { required: false } },
    { kind: 'expression', slot: 1, slots: [0] },
  ];
  const outputs = ['amount', 'cost'].map((name, step) => ({ name, step }));
  const pointersOf = (...names: string[]): unknown => {
    const selection = selectionOf({ onMissing: 'error', onStale: 'error' });
    const members = names.map((name) => ({
      ...(selection.members[0] as (typeof selection.members)[number]),
      ...{ name, feature: name, slot: outputs.findIndex((output) => output.name === name) },
    }));
    const views = [{ view: { name: 'v' }, program: { plan: { steps, outputs } } }];
    const slots = names.map((name) => ({ ...slotOf('FP64'), name }));
    const both = { ...selection, members, views } as unknown as SetSelection;
    const none = frameOf('NOT_FOUND', false);
    const frame: Frame = {
      ...none,
      values: [null, null],
      statuses: ['NOT_FOUND', 'NOT_FOUND'],
      times: [Number.NaN, Number.NaN],
    };
    try {
      new PolicyRow(both, bindMembers(both, slots, metrics), [frame]).conclude(
        { ...SENT, nameOf: () => undefined },
        AT,
      );
    } catch (error) {
      return (error as DomainError).faults?.map(({ pointer, received }) => [pointer, received]);
    }
    return undefined;
  };
  expect(pointersOf('cost')).toEqual([
    ['/features/cost', 'NOT_FOUND'],
    ['/features/amount', 'nothing'],
  ]);
  expect(pointersOf('amount', 'cost')).toEqual([
    ['/features/amount', 'NOT_FOUND'],
    ['/features/cost', 'NOT_FOUND'],
  ]);
});
