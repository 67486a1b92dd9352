import type { FeatureValue, Frame, SetProgram, ValueStatus } from '@sibyl/features';
import { DomainError, type FieldFault } from '@sibyl/kernel';
import { pointerTo, type FeatureSlot, type FilledRow } from '@sibyl/prediction';
import { allocate, type TensorData } from '@sibyl/protocol';
import type { Metrics } from '@sibyl/telemetry';

type Age = ReturnType<Metrics['features']['ageOf']>;
type SetMember = SetProgram['set']['members'][number];

/** A member of a set and the feature of the model that it fills. */
export interface BoundMember {
  readonly member: SetMember;
  readonly view: number;
  readonly slot: number;
  readonly target: FeatureSlot;
  /** Where a value is tried before the model gets it. */
  readonly scratch: TensorData;
  readonly age: Age;
}

export function bindMembers(program: SetProgram, slots: readonly FeatureSlot[], metrics: Metrics): BoundMember[] {
  return program.members.flatMap(({ member, view, slot }) => {
    const target = slots.find(({ name }) => name === member.name);
    if (!target || target.shape.length > 0) return [];
    const age = metrics.features.ageOf(member.view, member.feature);
    return [{ member, view, slot, target, scratch: allocate(target.datatype, 1), age }];
  });
}

/** What is served of a row, by the policy of its set. */
export class PolicyRow implements Pick<FilledRow, 'values' | 'amended' | 'defaulted' | 'stale'> {
  readonly values = new Map<string, unknown>();
  readonly amended: { readonly slot: FeatureSlot; readonly value: unknown }[] = [];
  readonly defaulted: string[] = [];
  readonly stale: string[] = [];
  private readonly refused: { readonly name: string; readonly status: ValueStatus; readonly age: number }[] = [];
  /** What the request gives and a rule rejects. */
  private readonly wrong: string[] = [];
  private complete = 0;

  constructor(
    private readonly set: SetProgram['set'],
    private readonly at: number,
    private readonly metrics: Metrics['features'],
  ) {}

  take(bound: BoundMember, frame: Frame): void {
    const { slot } = bound;
    const status = frame.statuses[slot] ?? 'TIMEOUT';
    const value = frame.values[slot] ?? null;
    const age = (this.at - (frame.times[slot] ?? Number.NaN)) / 1e6;
    this.metrics.countStatus(status);
    // An event of a moment that is to come within the clock's tolerance is not older than nothing.
    if (!Number.isNaN(age)) bound.age.observe(Math.max(0, age));
    const given = frame.given?.values[slot];
    if (given !== undefined) this.takeGiven(bound, status, value, given);
    else this.takeServed(bound, status, value, age);
  }

  /** The model has what the request gives already; rules may have put something else in its place. */
  private takeGiven(bound: BoundMember, status: ValueStatus, value: FeatureValue, given: FeatureValue): void {
    if (status !== 'PRESENT' && status !== 'NULL' && status !== 'DEFAULTED') {
      this.wrong.push(bound.member.name);
      return;
    }
    if (status !== 'NULL') this.complete += 1;
    if (status === 'DEFAULTED') this.defaulted.push(bound.member.name);
    if (value !== given) this.amended.push({ slot: bound.target, value: forModel(bound, value) });
  }

  private takeServed(bound: BoundMember, status: ValueStatus, value: FeatureValue, age: number): void {
    const { onStale, onMissing } = this.set;
    const isServed =
      status === 'PRESENT' || status === 'DEFAULTED' || (status === 'STALE' && onStale === 'degrade' && value !== null);
    if (isServed) this.serve(bound, status, value, age);
    else this.lack(bound, status === 'STALE' ? onStale : onMissing, status, age, bound.member.default);
  }

  /** Throws where the policy refuses the row. */
  conclude(pointer: string): void {
    const { refused, set, wrong } = this;
    if (wrong.length > 0) {
      throw new DomainError(
        'input_not_allowed',
        `Rules of feature set ${set.name} reject: ${wrong.slice(0, 64).join(', ')}.`,
        {
          faults: wrong
            .slice(0, 64)
            .map((name) => ({ pointer: pointerTo(pointer, name), expected: 'what its rules allow' })),
        },
      );
    }
    const least = set.minCompleteness * set.members.length;
    if (refused.length === 0 && this.complete >= least) return;
    const faults = refused.map(({ name, status, age }): FieldFault => {
      const old = Number.isNaN(age) ? '' : `, ${Math.round(age * 1000) / 1000} s old`;
      return { pointer: pointerTo(pointer, name), expected: 'a value', received: status + old };
    });
    const detail =
      refused.length > 0
        ? `Features without a value: ${refused
            .slice(0, 64)
            .map(({ name, status }) => `${name} (${status})`)
            .join(', ')}.`
        : `Of ${set.members.length} features ${this.complete} have a value; the set asks for ${Math.ceil(least)}.`;
    throw new DomainError('incomplete_features', detail, { faults: faults.slice(0, 64) });
  }

  private serve(bound: BoundMember, status: ValueStatus, value: FeatureValue, age: number): void {
    const { member, target, scratch } = bound;
    const taken = forModel(bound, value);
    if (target.write(scratch, 0, taken) !== undefined) {
      this.lack(bound, this.set.onMissing, 'INVALID', age, member.default);
      return;
    }
    this.complete += 1;
    this.values.set(member.name, taken);
    if (status === 'DEFAULTED') this.defaulted.push(member.name);
    if (status === 'STALE') this.stale.push(member.name);
  }

  private lack(
    bound: BoundMember,
    policy: string,
    status: ValueStatus,
    age: number,
    standIn: FeatureValue | undefined,
  ): void {
    const { name } = bound.member;
    if (policy === 'default' && standIn !== undefined) {
      this.complete += 1;
      this.values.set(name, forModel(bound, standIn));
      this.defaulted.push(name);
    } else if (policy === 'error') this.refused.push({ name, status, age });
    else if (bound.target.nullable) this.values.set(name, null);
    // What is not nullable has a default in the manifest, or is missing.
  }
}

/** Truth is 1 or 0 to a model of numbers. */
function forModel({ target }: BoundMember, value: FeatureValue): unknown {
  return typeof value === 'boolean' && target.datatype !== 'BOOL' ? Number(value) : value;
}
