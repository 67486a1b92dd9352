/** Hot path. See docs/paths/predict.md. */
import { DomainError } from '@sibyl/kernel';
import type { Tensor } from '@sibyl/protocol';
import { decodeDynamicRow } from './dynamic-row';
import type { FilledRow, VersionFeatures } from './feature-reader';
import type { FeatureRows, JsonObject } from './feature-rows';
import { fillMissing } from './missing-features';
import type { FeatureSlot, ModelContract } from './model-contract';
import type { RowRequest } from './call-parts';
import { asDomainError, type RowFill } from './row-inference';

/** A row, and what a feature source has for it. */
export interface FillingRow extends RowRequest {
  readonly source?: VersionFeatures;
  readonly filled?: FilledRow | DomainError | undefined;
}

/** Whether a request leaves out a feature of the model. */
export function leavesOut({ slots }: ModelContract, features: JsonObject): boolean {
  for (const { name } of slots) if (!Object.hasOwn(features, name)) return true;
  return false;
}

/** Where the source cannot be asked, nobody knows what it would take beside the features of the model: that it cannot comes first. */
function requireNames({ filled, source }: FillingRow): void {
  if (filled instanceof DomainError && source?.extra === undefined) throw filled;
}

/** Adds a row with all that stands in for what it leaves out. Throws, and leaves the row free, where it cannot be answered. */
export function addRow(rows: FeatureRows, row: FillingRow): RowFill | undefined {
  const { filled, source } = row;
  requireNames(row);
  // What the request gives is looked at first: a name that nobody knows, or null, is often why others have no value.
  const missing = rows.add(row.features, row.pointer, source?.extra);
  try {
    if (filled instanceof DomainError) throw filled;
    return supply(rows, missing, { filled, pointer: row.pointer });
  } catch (error) {
    // Whatever is wrong with it: left where it is, it would run, and be counted among those that are answered.
    rows.drop();
    throw error;
  }
}

/** The same of a row for a model whose rows have no fixed size. */
export function dynamicRow(
  contract: ModelContract,
  row: FillingRow,
): { readonly tensors: readonly Tensor[]; readonly fill: RowFill | undefined } {
  const { features, pointer, filled, source } = row;
  requireNames(row);
  let fill: RowFill | undefined;
  const rest = (): JsonObject => {
    if (filled instanceof DomainError) throw filled;
    const missing = contract.slots.filter(({ name }) => !Object.hasOwn(features, name));
    const { values, defaulted } = fillMissing(missing, filled?.values, pointer);
    for (const { slot, value } of filled?.amended ?? []) values[slot.name] = value;
    fill = fillOf(defaulted, filled);
    return values;
  };
  return { tensors: decodeDynamicRow(contract, features, rest, pointer, source?.extra), fill };
}

/** A row among those of a run, or what is wrong with it. */
export type Placed = { readonly fill: RowFill | undefined; readonly index: number } | DomainError;

/** A row as `addRow` adds it; what is wrong with it in place of that. */
export function tryAdd(rows: FeatureRows, row: FillingRow): Placed {
  try {
    const fill = addRow(rows, row);
    return { fill, index: rows.rows - 1 };
  } catch (error) {
    return asDomainError(error);
  }
}

/** Fills what the request left out of the row that was added last. */
export function supply(
  rows: FeatureRows,
  missing: readonly FeatureSlot[],
  { filled, pointer }: { readonly filled?: FilledRow | undefined; readonly pointer: string },
): RowFill | undefined {
  if (missing.length === 0 && filled === undefined) return undefined;
  let defaulted = NONE;
  if (filled === undefined || !supplyAll(rows, missing, filled.values)) {
    const fill = fillMissing(missing, filled?.values, pointer);
    for (const slot of missing) rows.supply(slot, fill.values[slot.name]);
    ({ defaulted } = fill);
  }
  if (filled !== undefined) for (const { slot, value } of filled.amended) rows.supply(slot, value);
  return fillOf(defaulted, filled);
}

/** False where one of them is not known: others then stand in. */
function supplyAll(rows: FeatureRows, missing: readonly FeatureSlot[], values: ReadonlyMap<string, unknown>): boolean {
  for (const slot of missing) {
    const value = values.get(slot.name);
    if (value === undefined) return false;
    rows.supply(slot, value);
  }
  return true;
}

const NONE: readonly string[] = [];

function fillOf(defaulted: readonly string[], filled: FilledRow | undefined): RowFill | undefined {
  if (filled === undefined) return defaulted.length === 0 ? undefined : { defaulted, stale: [], basis: undefined };
  const all = defaulted.length === 0 ? filled.defaulted : [...filled.defaulted, ...defaulted];
  const { stale, basis, unsettled, beyondRetention } = filled;
  return { defaulted: all, stale, basis, unsettled, beyondRetention };
}
