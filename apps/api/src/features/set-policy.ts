/** Hot path: made for each row of frames that a model has not seen yet. */
import {
  KeptByFrames,
  lackingInputs,
  lacksRequired,
  servedRow,
  type FeatureValue,
  type Frame,
  type OnlineAnswer,
  type SelectedMember,
  type SetSelection,
} from '@sibyl/features';
import { DomainError, type FieldFault } from '@sibyl/kernel';
import { pointerTo, type FeatureSlot, type FilledRow } from '@sibyl/prediction';
import { forModel, type BoundMember } from './bound-member';
import { LastingBasis } from './feature-basis';

/** A member without a value, or what it rests on and requests have to give; why, and when the event behind it happened, NaN where there is none. */
interface Lack {
  readonly member: Pick<SelectedMember, 'view' | 'slot' | 'name'>;
  readonly status: string;
  readonly time: number;
}

/** A slot of a view. */
type Place = Pick<SelectedMember, 'view' | 'slot'>;

/** A request, for what is said about it. */
export interface SentRow {
  readonly pointer: string;
  /** What it calls what it gives; undefined: it does not give it. */
  nameOf(view: number, slot: number): string | undefined;
}

/** What one model is given of a row, by the policy of its set. Nothing in it depends on the moment, but for the ages in a refusal. */
export class PolicyRow implements Pick<FilledRow, 'values' | 'amended' | 'defaulted' | 'stale'> {
  readonly values = new Map<string, unknown>();
  readonly amended: { readonly slot: FeatureSlot; readonly value: unknown }[] = [];
  readonly defaulted: string[] = [];
  readonly stale: string[] = [];
  /** When the event behind each value happened, NaN where there is none, and how many values have which status. */
  readonly times: readonly number[];
  readonly statuses = new Map<string, number>();
  private readonly refused: Lack[] = [];
  /** All that has no value, refused or not. */
  private readonly lacking: Lack[] = [];
  /** What the request gives and a rule rejects, or makes something of that the model cannot have. */
  private readonly wrong: Place[] = [];
  /** What could not be read, and nothing stands in for. */
  private readonly unread: string[] = [];
  private complete = 0;
  private readonly set: SetSelection['set'];
  private lasting: LastingBasis | undefined;

  constructor(
    private readonly selection: SetSelection,
    bound: readonly BoundMember[],
    readonly frames: readonly Frame[],
  ) {
    this.set = selection.set;
    const { values, statuses, times } = servedRow(selection, frames);
    frames.forEach(({ given, statuses: all }, view) => {
      given?.values.forEach((one, slot) => {
        if (one !== undefined && all[slot] === 'INVALID') this.wrong.push({ view, slot });
      });
    });
    this.times = bound.map(({ index }) => times[index] ?? Number.NaN);
    for (const [i, one] of bound.entries()) {
      const value = values[one.index] ?? null;
      const status = statuses[one.index] ?? 'TIMEOUT';
      this.statuses.set(status, (this.statuses.get(status) ?? 0) + 1);
      const given = frames[one.member.view]?.given?.values[one.member.slot];
      if (given !== undefined) this.takeGiven(one, status, value, given);
      else if (status === 'PRESENT' || status === 'DEFAULTED' || (status === 'STALE' && value !== null))
        this.serve(one, status, value, i);
      else this.lack(one, status === 'STALE' ? this.set.onStale : this.set.onMissing, status, i);
    }
    if (lacksRequired(selection, frames)) this.lackInputs(bound);
  }

  /** What requests have to give is not done without by what rests on it, whatever stands in for that. */
  private lackInputs(bound: readonly BoundMember[]): void {
    const seen = new Set<string>();
    for (const { member } of bound) {
      const frame = this.frames[member.view];
      for (const { slot, name, status, required } of frame ? lackingInputs(this.selection, member, frame) : []) {
        const place = `${member.view}:${slot}`;
        if (!required || status === 'INVALID' || seen.has(place)) continue;
        seen.add(place);
        this.refuse({ member: { name, view: member.view, slot }, status, time: Number.NaN });
      }
    }
  }

  /**
   * The model has what the request gives by the model's own name already, and gets what it gives by that of the view; rules may have
   * put something else in its place. Nothing else stands in for it.
   */
  private takeGiven(
    { member, target, scratch }: BoundMember,
    status: string,
    value: FeatureValue,
    given: FeatureValue,
  ): void {
    if (status === 'INVALID') return;
    const taken = value === null ? null : forModel(target, value);
    const fits = taken === null ? target.nullable : target.write(scratch, 0, taken) === undefined;
    if (!fits) {
      this.wrong.push(member);
      return;
    }
    this.values.set(member.name, taken);
    // Null is a value of a feature that takes it; what rules make null is missing.
    if (status === 'NULL' && (member.required || given !== null))
      this.note({ member, status, time: Number.NaN }, member.required);
    else this.complete += 1;
    if (status === 'DEFAULTED') this.defaulted.push(member.name);
    if (value !== given) this.amended.push({ slot: target, value: taken });
  }

  private serve(bound: BoundMember, status: string, value: FeatureValue, i: number): void {
    const { name, default: standIn } = bound.member;
    if (this.put(bound, value)) {
      if (status === 'DEFAULTED') this.defaulted.push(name);
      if (status === 'STALE') this.stale.push(name);
    } else if (this.set.onMissing === 'default' && standIn !== undefined && this.put(bound, standIn)) {
      // The datatype of the model cannot hold the value: what no other reader of it can know.
      this.defaulted.push(name);
    } else this.lack(bound, this.set.onMissing, 'INVALID', i);
  }

  private put(bound: BoundMember, value: FeatureValue): boolean {
    const taken = forModel(bound.target, value);
    if (bound.target.write(bound.scratch, 0, taken) !== undefined) return false;
    this.complete += 1;
    this.values.set(bound.member.name, taken);
    return true;
  }

  private lack(bound: BoundMember, policy: string, status: string, i: number): void {
    const { member, target } = bound;
    const refused = policy === 'error' || member.required;
    // Nobody knows whether it is missing; a default of the manifest is said to stand in, a null would be taken for a value.
    if (status === 'TIMEOUT' && (refused || target.nullable || target.defaultValue === undefined))
      this.unread.push(member.name);
    this.note({ member, status, time: this.times[i] ?? Number.NaN }, refused);
    if (!refused && target.nullable) this.values.set(member.name, null);
    // What is not nullable has a default in the manifest, or is missing.
  }

  get basis(): LastingBasis {
    return (this.lasting ??= new LastingBasis(this.selection, this.frames));
  }

  private note(lack: Lack, refused: boolean): void {
    this.lacking.push(lack);
    if (refused) this.refuse(lack);
  }

  private refuse(lack: Lack): void {
    this.refused.push(lack);
  }

  /** Throws where the policy refuses the row. `unread`: why some values are TIMEOUT. */
  conclude(sent: SentRow, at: number, unread?: OnlineAnswer['unread']): void {
    const { refused, set, wrong } = this;
    if (wrong.length > 0) throw this.notAllowed(sent);
    const missing = this.statuses.has('TIMEOUT') && this.complete < set.minCompleteness * set.members.length;
    if (missing || this.unread.length > 0) throw notRead(this.unread, unread);
    const least = set.minCompleteness * set.members.length;
    if (refused.length === 0 && this.complete >= least) return;
    const faults = this.faultsOf(refused.length > 0 ? refused : this.lacking, sent, at);
    const detail =
      refused.length > 0
        ? `Features without a value: ${refused
            .slice(0, 64)
            .map(({ member: { name }, status }) => `${name} (${status})`)
            .join(', ')}.`
        : `Of ${set.members.length} features ${this.complete} have a value; the set asks for ${Math.ceil(least)}.`;
    throw new DomainError('incomplete_features', detail, { faults: faults.slice(0, 64) });
  }

  /** What has no value, and after it what the request itself would have to give for it. */
  private faultsOf(lacking: readonly Lack[], sent: SentRow, at: number): FieldFault[] {
    const toGive = new Set<string>();
    const faults = lacking.map(({ member, status, time }): FieldFault => {
      for (const name of this.unanswered(member)) toGive.add(name);
      // What is not there is not old, however old others are that it would be computed from.
      const old =
        Number.isNaN(time) || status === 'NOT_FOUND' ? '' : `, ${Math.round((at - time) / 1000) / 1000} s old`;
      const name = sent.nameOf(member.view, member.slot) ?? member.name;
      return { pointer: pointerTo(sent.pointer, name), expected: 'a value', received: status + old };
    });
    for (const { member } of lacking) toGive.delete(member.name);
    for (const name of toGive)
      faults.push({ pointer: pointerTo(sent.pointer, name), expected: 'a value', received: 'nothing' });
    return faults;
  }

  private unanswered(member: Place): readonly string[] {
    const frame = this.frames[member.view];
    const lacking = frame ? lackingInputs(this.selection, member, frame) : [];
    return lacking.filter(({ status }) => status === 'NOT_FOUND').map(({ name }) => name);
  }

  private notAllowed(sent: SentRow): DomainError {
    const names = new Set(this.wrong.map(({ view, slot }) => sent.nameOf(view, slot) ?? ''));
    const some = [...names].slice(0, 64);
    return new DomainError('input_not_allowed', `Rules of feature set ${this.set.name} reject: ${some.join(', ')}.`, {
      faults: some.map((name) => ({ pointer: pointerTo(sent.pointer, name), expected: 'what its rules allow' })),
    });
  }
}

/** Of what is kept of one version. Measured: a row with its maps and the text of its record; what each value adds. */
const KEPT = { bytes: 2 * 1024 * 1024, rowBytes: 1700, valueBytes: 180 };

/** The rows of one version: what was made of frames serves as long as they do. */
export class PolicyRows {
  private readonly rows: KeptByFrames<PolicyRow>;

  constructor(
    private readonly selection: SetSelection,
    readonly members: readonly BoundMember[],
  ) {
    this.rows = new KeptByFrames(KEPT, (_, frames) => new PolicyRow(selection, members, frames));
  }

  of(frames: readonly Frame[]): PolicyRow {
    return this.rows.of(this.selection, frames);
  }
}

/** The log was too slow, or could not be read: no fault of the request, and no value either. */
function notRead(names: readonly string[], unread: OnlineAnswer['unread']): DomainError {
  const which = names.length === 0 ? '' : `: ${names.slice(0, 64).join(', ')}`;
  if (unread !== 'failed')
    return new DomainError('deadline_exceeded', `The log of events was too slow for some features${which}.`);
  return unreadable(`The log of events could not be read for some features${which}.`);
}

export function unreadable(detail: string): DomainError {
  return new DomainError('database_unavailable', detail, { retryAfterSeconds: 1 });
}
