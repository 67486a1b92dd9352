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
    else faults.push({ pointer: `${pointer}/${name}`, expected: key.expected });
  }
  for (const given in entity) {
    if (views.some(({ view }) => view.entity.name === given)) continue;
    const names = new Set(views.map(({ view }) => view.entity.name));
    faults.push({ pointer: `${pointer}/${given.slice(0, 64)}`, expected: `one of ${[...names].join(', ')}` });
  }
  return keys;
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
  // What a set calls it, or what its view does.
  const called = new Map(members.map(({ name, view, feature }) => [name, { view, feature }]));
  const byView = views.map((): Record<string, unknown> => ({}));
  for (const [name, value] of Object.entries(given)) {
    const member = called.get(name);
    const holders = member ? [member.view] : views.flatMap(({ program }, i) => (program.slots.has(name) ? [i] : []));
    const [view] = holders;
    if (view === undefined || holders.length > 1)
      faults.push({
        pointer: `${pointer}/${name.slice(0, 64)}`,
        ...(view === undefined ? unread(name, called.keys(), views) : { expected: 'view:feature' }),
      });
    else (byView[view] as Record<string, unknown>)[member?.feature ?? name] = value;
  }
  return byView.map((features, i) => {
    const read = readGiven((views[i] as (typeof views)[number]).program, features);
    for (const { name, type } of read.faults)
      faults.push({ pointer: `${pointer}/${name}`, expected: type ?? 'a feature' });
    return read.given;
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
