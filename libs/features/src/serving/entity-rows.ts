import { DomainError, nearestWords, type FieldFault } from '@sibyl/kernel';
import { readGiven } from '../engine/given';
import type { Given } from '../engine/frame';
import type { OnlineRow } from '../engine/online-query';
import { entityKey } from '../log/entity-key';
import type { Selection } from './selection';

const FAULTS = 64;

/** An entity by the names of its keys, and what the request gives of its features. */
export interface AskedRow {
  readonly entity: unknown;
  readonly given?: unknown;
}

/** Reads rows of a request into keys by view. Throws invalid_parameter with all faults. */
export function readRows(
  selection: Selection,
  asked: readonly AskedRow[],
  pointerOf: (row: number) => string,
): OnlineRow[] {
  const faults: FieldFault[] = [];
  const rows: OnlineRow[] = [];
  let read: { readonly given: unknown; readonly values: OnlineRow['given'] } | undefined;
  for (const [i, { entity, given }] of asked.entries()) {
    const entities = readKeys(selection, entity, pointerOf(i), faults);
    // What is given for all rows is read once.
    if (given !== undefined && read?.given !== given)
      read = { given, values: readValues(selection, given, `${pointerOf(i)}/given`, faults) };
    const values = given === undefined ? undefined : read?.values;
    rows.push({ entities, given: values });
    if (faults.length >= FAULTS) break;
  }
  if (faults.length === 0) return rows;
  throw new DomainError('invalid_parameter', 'Some of the entities cannot be read.', {
    faults: faults.slice(0, FAULTS),
  });
}

/** By the index of the view; also used where rows come one by one. */
export function readKeys(
  { views }: Selection,
  entity: unknown,
  pointer: string,
  faults: FieldFault[],
): readonly string[] {
  if (!isRecord(entity)) {
    faults.push({ pointer, expected: 'an object with the keys of the entity' });
    return [];
  }
  const keys: string[] = [];
  for (const { view } of views) {
    const { name } = view.entity;
    const key = entityKey(view.entity, Object.hasOwn(entity, name) ? entity[name] : undefined);
    if (typeof key === 'string') keys.push(key);
    else addOnce(faults, { pointer: `${pointer}/${name}`, expected: key.expected });
  }
  for (const given in entity) {
    if (views.some(({ view }) => view.entity.name === given)) continue;
    const names = new Set(views.map(({ view }) => view.entity.name));
    faults.push({ pointer: `${pointer}/${given.slice(0, 64)}`, expected: `one of ${[...names].join(', ')}` });
  }
  return keys;
}

/** Views of one entity all ask for the same. */
function addOnce(faults: FieldFault[], fault: FieldFault): void {
  if (!faults.some(({ pointer, expected }) => pointer === fault.pointer && expected === fault.expected))
    faults.push(fault);
}

/** By the index of the view, what a request gives of features; also used where rows come one by one. */
export function readValues(
  { views, members }: Selection,
  given: unknown,
  pointer: string,
  faults: FieldFault[],
): readonly (Given | undefined)[] {
  if (!isRecord(given)) {
    faults.push({ pointer, expected: 'an object with values by the names of features' });
    return [];
  }
  // What a set calls it, what its view does, or in full, as records of predictions have it.
  const called = new Map(members.map(({ name, view, feature }) => [name, { view, feature }]));
  const byView = views.map((): Record<string, unknown> => ({}));
  for (const [name, value] of Object.entries(given)) {
    const member = called.get(name);
    const holders = member ? [member] : holdersOf(views, name);
    const [holder] = holders;
    if (holder === undefined || holders.length > 1)
      faults.push({
        pointer: `${pointer}/${name.slice(0, 64)}`,
        ...(holder === undefined ? unread(name, called.keys(), views) : { expected: 'view:feature' }),
      });
    else (byView[holder.view] as Record<string, unknown>)[holder.feature] = value;
  }
  return byView.map((features, i) => {
    const read = readGiven((views[i] as (typeof views)[number]).program, features);
    for (const { name, type } of read.faults)
      faults.push({ pointer: `${pointer}/${name}`, expected: type ?? 'a feature' });
    return read.given;
  });
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
