import type { FieldFault } from '@sibyl/kernel';
import type { Datatype, TensorSpec } from '@sibyl/protocol';
import type { CallerContract, CallerFeature, CallerInput } from './caller-contract';
import { pointerTo } from './json-document';

/**
 * In what a version breaks callers of another: requests that were taken and would be refused or read otherwise, and members
 * of the answer that are gone or mean something else. Each with the place in the new version, what callers rely on
 * (`expected`) and what the new version has (`received`).
 */
export function breakingChanges(from: CallerContract, to: CallerContract): readonly FieldFault[] {
  const faults = new BreakList();
  if (from.task !== to.task) faults.add('/task', from.task ?? 'no task', to.task ?? 'no task');
  compareInputs(from.inputs, to.inputs, faults);
  compareFeatures(from.features, to.features, faults);
  compareOutputs(from.outputs, to.outputs, faults);
  compareAnswers(from, to, faults);
  return faults.faults;
}

function compareInputs(from: readonly CallerInput[], to: readonly CallerInput[], faults: BreakList): void {
  for (const old of from) {
    const pointer = pointerTo('/inputs', old.name);
    const present = to.find(({ name }) => name === old.name);
    if (!present) {
      faults.add(pointer, specText(old), 'nothing', 'The input was removed.');
      continue;
    }
    if (present.datatype !== old.datatype) faults.add(`${pointer}/datatype`, old.datatype, present.datatype);
    if (!takesShapes(old.shape, present.shape))
      faults.add(`${pointer}/shape`, shapeText(old.shape), shapeText(present.shape));
    // Whoever sends tensors sends columns by their place: the same width in another order would be answered, wrongly.
    if (old.columns && present.columns && old.columns.some((column, i) => present.columns?.[i] !== column))
      faults.add(`${pointer}/columns`, old.columns.join(', '), present.columns.join(', '));
  }
  // A call with tensors sends all of them: nothing stands in for one that is not there.
  for (const added of to)
    if (!from.some(({ name }) => name === added.name))
      faults.add(pointerTo('/inputs', added.name), 'no such input', specText(added), 'Every call must send it.');
}

function compareFeatures(from: readonly CallerFeature[], to: readonly CallerFeature[], faults: BreakList): void {
  for (const old of from) {
    const present = to.find(({ name }) => name === old.name);
    const pointer = pointerTo('/features', old.name);
    if (present) compareFeature(old, present, pointer, faults);
    else faults.add(pointer, 'a feature that requests may send', 'nothing', 'The feature was removed or renamed.');
  }
  for (const added of to)
    if (added.required && !from.some(({ name }) => name === added.name))
      faults.add(pointerTo('/features', added.name), 'no such feature', 'a required feature', 'It has no default.');
}

function compareFeature(old: CallerFeature, present: CallerFeature, pointer: string, faults: BreakList): void {
  if (!widens(old.datatype, present.datatype)) faults.add(`${pointer}/datatype`, old.datatype, present.datatype);
  if (present.required && !old.required) faults.add(`${pointer}/default`, 'a value to stand in for it', 'none');
  if (old.nullable && !present.nullable) faults.add(`${pointer}/nullable`, 'true', 'false');
  compareRange(old, present, pointer, faults);
  compareAllowed(old, present, pointer, faults);
}

function compareRange(old: CallerFeature, present: CallerFeature, pointer: string, faults: BreakList): void {
  const { min = -Infinity, max = Infinity } = present;
  if (min > (old.min ?? -Infinity)) faults.add(`${pointer}/min`, `${old.min ?? 'no minimum'}`, `${min}`);
  if (max < (old.max ?? Infinity)) faults.add(`${pointer}/max`, `${old.max ?? 'no maximum'}`, `${max}`);
}

function compareAllowed(old: CallerFeature, { allowed }: CallerFeature, pointer: string, faults: BreakList): void {
  if (allowed === undefined || old.allowed?.every((value) => allowed.includes(value)) === true) return;
  faults.add(`${pointer}/allowed`, old.allowed?.join(', ') ?? 'any value', allowed.join(', '));
}

function compareOutputs(from: readonly TensorSpec[], to: readonly TensorSpec[], faults: BreakList): void {
  for (const old of from) {
    const pointer = pointerTo('/outputs', old.name);
    const present = to.find(({ name }) => name === old.name);
    if (!present) {
      faults.add(pointer, specText(old), 'nothing', 'The output was removed.');
      continue;
    }
    if (present.datatype !== old.datatype) faults.add(`${pointer}/datatype`, old.datatype, present.datatype);
    if (!sameLayout(old.shape, present.shape))
      faults.add(`${pointer}/shape`, shapeText(old.shape), shapeText(present.shape));
  }
}

function compareAnswers(from: CallerContract, to: CallerContract, faults: BreakList): void {
  const { classes: before, decision: old } = from;
  const { classes: after, decision } = to;
  // In their order: the probabilities that tensors hold are told apart by their places.
  if (before?.join('\0') !== after?.join('\0'))
    faults.add('/classes', before?.join(', ') ?? 'none', after?.join(', ') ?? 'none');
  if (old.field !== decision.field) faults.add('/decision/field', old.field, decision.field);
  if (old.probabilities && !decision.probabilities) faults.add('/decision/probabilities', 'true', 'false');
}

/** Whether each shape that one takes is taken by the other; where one is not known, nothing can be said against it. */
function takesShapes(old: TensorSpec['shape'], present: TensorSpec['shape']): boolean {
  if (!old || !present) return true;
  return old.length === present.length && present.every((size, i) => size === -1 || size === old[i]);
}

/** Outputs of one rank whose fixed sizes agree; a size that is dynamic in one of them says nothing. */
function sameLayout(old: TensorSpec['shape'], present: TensorSpec['shape']): boolean {
  if (!old || !present) return true;
  return old.length === present.length && present.every((size, i) => size === -1 || old[i] === -1 || size === old[i]);
}

const INTEGER = /^(U?)INT(\d+)$/;

/** Whether each value of one datatype, as JSON has it, is one of the other. */
function widens(old: Datatype, present: Datatype): boolean {
  if (old === present) return true;
  const [from, to] = [INTEGER.exec(old), INTEGER.exec(present)];
  if (!to) return present.startsWith('FP') && (from !== null || old.startsWith('FP')) && present !== 'FP16';
  if (!from) return false;
  const [unsigned, bits] = [from[1] === 'U', Number(from[2])];
  const wider = Number(to[2]) > bits;
  return to[1] === 'U' ? unsigned && wider : wider;
}

function specText({ datatype, shape }: TensorSpec): string {
  return `${datatype} ${shapeText(shape)}`;
}

function shapeText(shape: TensorSpec['shape']): string {
  return shape ? `[${shape.join(',')}]` : 'of any shape';
}

/** More would tell nobody anything; whoever changed so much knows it. */
const LISTED_MAX = 100;
const TEXT_MAX = 200;

class BreakList {
  readonly faults: FieldFault[] = [];

  add(pointer: string, expected: string, received: string, hint?: string): void {
    if (this.faults.length >= LISTED_MAX) return;
    this.faults.push({ pointer, expected: shown(expected), received: shown(received), ...(hint ? { hint } : {}) });
  }
}

function shown(text: string): string {
  return text.length > TEXT_MAX ? `${text.slice(0, TEXT_MAX)}…` : text;
}
