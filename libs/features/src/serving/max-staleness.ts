import { DomainError, nearestWords, type FieldFault } from '@sibyl/kernel';
import { pointerTo } from '../definitions/definition-faults';
import { DURATION_EXPECTED, parseDuration } from '../definitions/duration';
import type { FeatureValue, ValueStatus } from '../feature-value';
import { requestFault } from '../request-fault';
import type { Micros } from '../time';
import type { Selection } from './selection';
import { ServedRow } from './served-row';

const FAULTS = 64;

/** How old the value of each member may be at most, by its place; undefined: as old as its `ttl` allows. */
export type MaxAges = readonly (Micros | undefined)[];

/** Reads `{feature: duration}` of one request. A feature is called as the answer calls it, or as its view does. Throws invalid_parameter. */
export function readMaxStaleness({ members }: Selection, given: unknown): MaxAges {
  if (typeof given !== 'object' || given === null || Array.isArray(given))
    throw refused([requestFault('/max_staleness', 'an object with times by the names of features', given)]);
  const faults: FieldFault[] = [];
  const ages = new Array<Micros | undefined>(members.length).fill(undefined);
  for (const [name, duration] of Object.entries(given)) {
    const pointer = pointerTo('/max_staleness', name);
    const age = typeof duration === 'string' ? parseDuration(duration) : undefined;
    const places = placesOf(name, members);
    if (places.length === 0) {
      const [near] = nearestWords(
        name,
        members.map((member) => member.name),
      );
      const hint = near === undefined ? {} : { hint: `did you mean '${near}'?` };
      faults.push({ ...requestFault(pointer, 'a feature that is read', duration), ...hint });
    } else if (age === undefined) faults.push(requestFault(pointer, DURATION_EXPECTED, duration));
    for (const place of places) ages[place] = age;
  }
  if (faults.length > 0) throw refused(faults.slice(0, FAULTS));
  return ages;
}

function placesOf(name: string, members: Selection['members']): readonly number[] {
  const called = members.flatMap((member, i) => (member.name === name ? [i] : []));
  return called.length > 0 ? called : members.flatMap(({ feature }, i) => (feature === name ? [i] : []));
}

/**
 * The row with what is older made STALE, as it would be with a shorter `ttl`; what its set makes of stale values it makes of these.
 * Only of what is asked for: an expression over it goes by its own age.
 */
export function limitAges({ set, members }: Selection, row: ServedRow, ages: MaxAges, at: Micros): ServedRow {
  const isTooOld = (i: number): boolean => {
    const [most, time] = [ages[i], row.times[i] as Micros];
    // What is made of no event has no age: NaN is beyond nothing.
    return most !== undefined && row.statuses[i] === 'PRESENT' && at - time > most;
  };
  if (!members.some((_, i) => isTooOld(i))) return row;
  const values: FeatureValue[] = [...row.values];
  const statuses: ValueStatus[] = [...row.statuses];
  const sources = [...row.sources];
  for (const [i, member] of members.entries()) {
    if (!isTooOld(i)) continue;
    statuses[i] = 'STALE';
    if (set?.onStale === 'default' && member.default !== undefined) {
      values[i] = member.default;
      statuses[i] = 'DEFAULTED';
      sources[i] = 'default';
    } else if (set?.onStale !== 'degrade') values[i] = null;
  }
  return new ServedRow(values, statuses, row.times, sources);
}

function refused(faults: readonly FieldFault[]): DomainError {
  return new DomainError('invalid_parameter', 'The greatest ages cannot be read.', { faults });
}
