import type { FeatureValue, ValueType } from '../feature-value';
import type { Given } from './frame';
import type { Program } from './program';

const MAX_TEXT = 4096;
const MAX_ITEMS = 1024;

/** Values of a request that were not taken: nothing of this name is in the plan, or not of its type. */
export interface GivenFault {
  readonly name: string;
  readonly reason: 'unknown' | 'type';
  /** What was expected. */
  readonly type?: string;
}

/** Finds the slots of what a request gives by name. */
export function readGiven(
  program: Program,
  features: Readonly<Record<string, unknown>>,
): { readonly given?: Given; readonly faults: readonly GivenFault[] } {
  const names = Object.keys(features);
  if (names.length === 0) return { faults: [] };
  const faults: GivenFault[] = [];
  const values = new Array<FeatureValue | undefined>(program.plan.outputs.length).fill(undefined);
  for (const name of names) {
    const slot = program.slots.get(name);
    const output = slot === undefined ? undefined : program.plan.outputs[slot];
    const value = features[name];
    if (slot === undefined || !output) faults.push({ name, reason: 'unknown' });
    else if (!fits(value, output.type, output.list))
      faults.push({
        name,
        reason: 'type',
        type: output.list ? `a list of at most ${MAX_ITEMS} (${output.type})` : output.type,
      });
    else values[slot] = value;
  }
  return { given: { values, key: keyOf(values) }, faults };
}

/** Of the slots that were given: null is given, too, and nothing is lost of a number. */
function keyOf(values: readonly (FeatureValue | undefined)[]): string {
  let key = '';
  for (let slot = 0; slot < values.length; slot++) {
    const value = values[slot];
    if (value === undefined) continue;
    key += `${slot}:${Object.is(value, -0) ? '-0' : JSON.stringify(value)};`;
  }
  return key;
}

function fits(value: unknown, type: ValueType, list: boolean): value is FeatureValue {
  if (value === null) return true;
  if (!list) return isOf(value, type);
  return Array.isArray(value) && value.length <= MAX_ITEMS && value.every((item) => item === null || isOf(item, type));
}

function isOf(value: unknown, type: ValueType): boolean {
  switch (type) {
    case 'double':
      return Number.isFinite(value);
    case 'int':
      return Number.isSafeInteger(value);
    case 'bool':
      return typeof value === 'boolean';
    case 'string':
      return typeof value === 'string' && value.length <= MAX_TEXT;
  }
}
