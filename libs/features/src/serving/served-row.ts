// Hot: of every row that is served, to callers, to models and to training sets.
import type { Frame } from '../engine/frame';
import type { FeatureValue, ValueStatus } from '../feature-value';
import type { Micros } from '../time';
import { RowTexts, type RowValues } from './row-texts';
import type { SelectedMember, Selection, ValueSource } from './selection';

/** A row with what it comes to. */
export class ServedRow implements RowValues {
  /** `OK`: every value is there; `NOT_FOUND`: nothing is known of the entity; `PARTIAL`: some are there. */
  readonly status: 'OK' | 'PARTIAL' | 'NOT_FOUND';
  private written: RowTexts | undefined;

  constructor(
    readonly values: readonly FeatureValue[],
    readonly statuses: readonly ValueStatus[],
    readonly times: readonly Micros[],
    readonly sources: readonly ValueSource[],
  ) {
    this.status = rowStatus(statuses, sources);
  }

  get texts(): RowTexts {
    return (this.written ??= new RowTexts(this));
  }
}

/** What the policy of its set makes of the values of its views: the same for a model, a read and a training set. */
export function servedRow({ set, members, sources: usual }: Selection, frames: readonly Frame[]): ServedRow {
  const values = new Array<FeatureValue>(members.length);
  const statuses = new Array<ValueStatus>(members.length);
  const times = new Array<Micros>(members.length);
  let own: ValueSource[] | undefined;
  for (let i = 0; i < members.length; i++) {
    const member = members[i] as SelectedMember;
    const frame = frames[member.view] as Frame;
    let value = frame.values[member.slot] as FeatureValue;
    let status = frame.statuses[member.slot] as ValueStatus;
    if (set && standsIn(set, member, frame)) {
      value = member.default as FeatureValue;
      status = 'DEFAULTED';
    }
    values[i] = value;
    statuses[i] = status;
    times[i] = frame.times[member.slot] as Micros;
    const source = sourceOf(frame, member, status);
    if (source !== member.source) (own ??= [...usual])[i] = source;
  }
  return new ServedRow(values, statuses, times, own ?? usual);
}

/** What the request gives of an entity does not make it known. */
function rowStatus(statuses: readonly ValueStatus[], sources: readonly ValueSource[]): ServedRow['status'] {
  let present = 0;
  let absent = 0;
  let given = 0;
  for (let i = 0; i < statuses.length; i++) {
    const status = statuses[i];
    if (status === 'NOT_FOUND') absent += 1;
    else if (status === 'PRESENT' || status === 'DEFAULTED') {
      present += 1;
      if (sources[i] === 'request') given += 1;
    }
  }
  if (present === statuses.length) return 'OK';
  return absent > 0 && absent + given === statuses.length ? 'NOT_FOUND' : 'PARTIAL';
}

/**
 * Whether the default of a member stands in for the value that its view has. What could not be read in time is as missing as what
 * is not there: answers say that the log was not read, and no training set is made of such values. What the request gives is never
 * passed over, not even where it is null or its rules reject it.
 */
function standsIn(
  { onMissing, onStale }: NonNullable<Selection['set']>,
  member: SelectedMember,
  { statuses, given }: Frame,
): boolean {
  const status = statuses[member.slot] as ValueStatus;
  if (status === 'PRESENT' || status === 'DEFAULTED' || member.default === undefined) return false;
  if (given?.values[member.slot] !== undefined) return false;
  return (status === 'STALE' ? onStale : onMissing) === 'default';
}

function sourceOf(frame: Frame, { slot, source }: SelectedMember, status: ValueStatus): ValueSource {
  if (status === 'DEFAULTED') return 'default';
  return frame.given?.values[slot] === undefined ? source : 'request';
}
