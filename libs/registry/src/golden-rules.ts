import { float16ToNumber, numberAt, numberToFloat16, type Datatype, type Tensor } from '@sibyl/protocol';
import type { FaultList } from './json-document';
import type { Manifest, ManifestFeature } from './manifest';

/** Golden samples keep to their manifest: ranges, allowed values and missing values are what a request may send. */
export function checkSample(
  manifest: Manifest,
  inputs: readonly Tensor[],
  pointerOf: (tensor: string) => string,
  faults: FaultList,
): void {
  for (const tensor of inputs) {
    const rules = rulesOf(manifest, tensor.name);
    if (rules.every((rule) => rule === undefined)) continue;
    const columns = rules.length === 1 ? 1 : (tensor.shape.at(-1) ?? 1);
    for (let i = 0; i < tensor.data.length; i++) {
      const rule = rules[i % columns];
      const expected = rule && ruleBroken(rule, tensor, i);
      if (expected)
        faults.add(elementPointer(pointerOf(tensor.name), tensor.shape, i), expected, plainValue(tensor, i));
    }
  }
}

/** The rule of each column; one rule for an input that is a feature of its own. */
function rulesOf(manifest: Manifest, input: string): readonly (ManifestFeature | undefined)[] {
  const columns = manifest.inputs?.find((candidate) => candidate.name === input)?.columns ?? [input];
  const features = new Map(manifest.features?.map((feature) => [feature.name, feature]));
  return columns.map((column) => features.get(column));
}

function ruleBroken(rule: ManifestFeature, tensor: Tensor, index: number): string | undefined {
  if (tensor.datatype === 'BYTES') {
    return rule.allowed && !rule.allowed.includes(tensor.data[index] as string) ? oneOf(rule) : undefined;
  }
  const value = numberAt(tensor, index);
  if (Number.isNaN(value)) return rule.nullable === false ? `a number: '${rule.name}' is not nullable` : undefined;
  return boundBroken(rule, value, ROUNDING[tensor.datatype] ?? Number);
}

// A bound is compared as the tensor holds it: 0.1 as float32 is more than 0.1.
const ROUNDING: Partial<Record<Datatype, (number: number) => number>> = {
  FP32: Math.fround,
  FP16: (number) => float16ToNumber(numberToFloat16(number)),
};

function boundBroken(
  { name, min, max, allowed }: ManifestFeature,
  value: number,
  round: (number: number) => number,
): string | undefined {
  if (min !== undefined && value < round(min)) return `at least ${min}, the min of '${name}'`;
  if (max !== undefined && value > round(max)) return `at most ${max}, the max of '${name}'`;
  const isAllowed = allowed?.some((candidate) => round(Number(candidate)) === value) ?? true;
  return isAllowed ? undefined : oneOf({ name });
}

function oneOf(rule: Pick<ManifestFeature, 'name'>): string {
  return `one of the allowed values of '${rule.name}'`;
}

function plainValue(tensor: Tensor, index: number): unknown {
  return tensor.datatype === 'BYTES' ? tensor.data[index] : String(numberAt(tensor, index));
}

/** Pointer to one element of a nested array. */
function elementPointer(pointer: string, shape: readonly number[], index: number): string {
  const path: number[] = [];
  let rest = index;
  for (const size of [...shape].reverse()) {
    path.unshift(rest % size);
    rest = Math.floor(rest / size);
  }
  return [pointer, ...path].join('/');
}
