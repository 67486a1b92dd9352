import { DomainError, nearestWords, type FieldFault, received } from '@sibyl/kernel';
import { readGiven } from '../engine/given';
import type { Given } from '../engine/frame';
import type { OnlineRow } from '../engine/online-query';
import { readKeys } from '../log/entity-key';
import { placeOf, requestFault, type Place } from '../request-fault';
import type { Selection } from './selection';

const FAULTS = 64;

/** An entity by the names of its keys, and what the request gives of its features. */
export interface AskedRow {
  readonly entity: unknown;
  readonly given?: unknown;
}

/** Where a request has what is asked, for errors. */
export interface RequestPlaces {
  entity(row: number): Place;
  given(row: number): Place;
  feature(index: number): string;
}

/** A list of each. */
export const LISTS: RequestPlaces = {
  entity: (row) => placeOf(`/entities/${row}`),
  given: (row) => placeOf(`/given/${row}`),
  feature: (index) => `/features/${index}`,
};

/** Reads rows of a request into keys by view. Throws invalid_parameter with all faults. */
export function readRows(
  selection: Selection,
  asked: readonly AskedRow[],
  places: Pick<RequestPlaces, 'entity' | 'given'>,
): OnlineRow[] {
  const faults: FieldFault[] = [];
  const rows: OnlineRow[] = [];
  const rules = selection.views.map(({ view }) => view.entity);
  let read: { readonly given: unknown; readonly values: OnlineRow['given'] } | undefined;
  for (const [i, { entity, given }] of asked.entries()) {
    const entities = readKeys(rules, entity, places.entity(i), faults);
    // What is given for all rows is read once.
    if (given !== undefined && read?.given !== given)
      read = { given, values: readValues(selection, [{ given, at: places.given(i) }], faults) };
    const values = given === undefined ? undefined : read?.values;
    rows.push({ entities, given: values });
    if (faults.length >= FAULTS) break;
  }
  if (faults.length === 0) return rows;
  throw new DomainError('invalid_parameter', 'Some of the entities cannot be read.', {
    faults: faults.slice(0, FAULTS),
  });
}

/** Values of a request by the names of features. */
export interface GivenValues {
  readonly given: unknown;
  readonly at: Place;
}

interface GivenValue {
  readonly name: string;
  readonly value: unknown;
  readonly from: GivenValues;
}

/**
 * By the index of the view, what a request gives of features; also used where rows come one by one. What stands later in the list comes
 * before what stands earlier; one feature twice in one object, by two of its names, is a fault.
 */
export function readValues(
  { views, members }: Selection,
  given: readonly GivenValues[],
  faults: FieldFault[],
): readonly (Given | undefined)[] {
  // What a set calls it, what its view does, or in full, as records of predictions have it.
  const called = new Map(members.map(({ name, view, feature }) => [name, { view, feature }]));
  const byView = views.map((): Map<string, GivenValue> => new Map());
  for (const from of given) {
    if (!isRecord(from.given)) {
      faults.push(requestFault(from.at(), 'an object with values by the names of features', from.given));
      continue;
    }
    for (const [name, value] of Object.entries(from.given)) {
      const member = called.get(name);
      const holders = member ? [member] : holdersOf(views, name);
      const [holder, other] = holders;
      let fault: Omit<FieldFault, 'pointer'> | undefined;
      if (holder === undefined) fault = unread(name, called.keys(), views);
      else if (other) fault = { expected: 'view:feature, as more than one view has it' };
      else fault = put(byView[holder.view] as Map<string, GivenValue>, holder.feature, { name, value, from });
      if (fault) faults.push({ pointer: from.at(name), ...fault, received: received(value) });
    }
  }
  return byView.map((values, i) => {
    const features = Object.fromEntries([...values].map(([feature, { value }]) => [feature, value]));
    const read = readGiven((views[i] as (typeof views)[number]).program, features);
    for (const { name: feature, type = 'a feature' } of read.faults) {
      const { name, value, from } = values.get(feature) as GivenValue;
      faults.push(requestFault(from.at(name), type, value));
    }
    return read.given;
  });
}

/** What is wrong where the same object gives the feature by another name already. */
function put(
  values: Map<string, GivenValue>,
  feature: string,
  one: GivenValue,
): Omit<FieldFault, 'pointer'> | undefined {
  const before = values.get(feature);
  if (before?.from === one.from) return { expected: `nothing, as ${one.from.at(before.name)} gives the same feature` };
  values.set(feature, one);
  return undefined;
}

/** Views that have a feature by its name, or by `view:feature`. */
function holdersOf(views: Selection['views'], name: string): { readonly view: number; readonly feature: string }[] {
  return views.flatMap(({ view: { name: of }, program: { slots } }, view) => {
    if (slots.has(name)) return [{ view, feature: name }];
    const feature = name.startsWith(`${of}:`) ? name.slice(of.length + 1) : undefined;
    return feature !== undefined && slots.has(feature) ? [{ view, feature }] : [];
  });
}

function unread(name: string, called: Iterable<string>, views: Selection['views']): Omit<FieldFault, 'pointer'> {
  const known = new Set([...called, ...views.flatMap(({ program }) => [...program.slots.keys()])]);
  const [near] = nearestWords(name, known);
  return { expected: 'a feature that is read', ...(near === undefined ? {} : { hint: `did you mean '${near}'?` }) };
}

function isRecord(given: unknown): given is Record<string, unknown> {
  return typeof given === 'object' && given !== null && !Array.isArray(given);
}
