import type { Pace } from '@sibyl/kernel';
import { NestedReading, ReadNested, type Tensor, type TensorSpec } from '@sibyl/protocol';
import { checkTensorRules, type JsonObject } from './feature-rows';
import type { FeatureSlot, ModelContract } from './model-contract';
import { pointerTo } from './request-faults';

/*
 * Nested arrays of long requests are read before the request itself is, in slices, and what was read takes their place in it.
 * So everything else about a long request is read as in a short one.
 */

const ELEMENTS_BETWEEN_LOOKS = 2 * 1024;

/** Reads the arrays of `{tensor: nested array}`. */
export async function readLongTensors(contract: ModelContract, inputs: JsonObject, pace: Pace): Promise<void> {
  for (const [index, input] of contract.inputs.entries()) {
    const nullable = contract.nullableColumns[index] ?? never;
    await readMember(inputs, input, '/inputs', { nullable, slots: contract.inputSlots[index] ?? [] }, pace);
  }
}

/** Reads the arrays among the features of one row. */
export async function readLongFeatures(
  contract: ModelContract,
  row: { readonly features: JsonObject; readonly pointer: string },
  pace: Pace,
): Promise<void> {
  for (const slot of contract.slots) {
    if (slot.shape.length === 0) continue;
    const allowed = { nullable: () => slot.nullable, slots: [slot] };
    await readMember(row.features, slot, row.pointer, allowed, pace);
  }
}

interface Allowed {
  readonly nullable: (column: number) => boolean;
  readonly slots: readonly FeatureSlot[];
}

async function readMember(
  members: JsonObject,
  { name, datatype, shape }: TensorSpec,
  pointer: string,
  allowed: Allowed,
  pace: Pace,
): Promise<void> {
  const value = Object.hasOwn(members, name) ? members[name] : undefined;
  if (!Array.isArray(value)) return;
  const spec = { name, datatype, ...(shape === undefined ? {} : { shape }) };
  const outcome = await readArrays(value, spec, pointerTo(pointer, name), allowed, pace);
  (members as Record<string, unknown>)[name] = new ReadNested(outcome);
}

/** The tensor, or what is wrong with it. */
async function readArrays(
  value: unknown[],
  spec: TensorSpec,
  pointer: string,
  { nullable, slots }: Allowed,
  pace: Pace,
): Promise<Tensor | Error> {
  const reading = attempt(() => new NestedReading(value, spec, pointer, { nullable }));
  if (reading instanceof Error) return reading;
  for (;;) {
    const done = attempt(() => reading.read(ELEMENTS_BETWEEN_LOOKS));
    if (done instanceof Error) return done;
    if (done) break;
    if (pace.due) await pace.next();
  }
  const { tensor } = reading;
  if (slots.every((slot) => slot.rule === undefined)) return tensor;
  for (let at = 0; at < tensor.data.length; at += ELEMENTS_BETWEEN_LOOKS) {
    const breach = attempt(() => checkTensorRules(tensor, slots, pointer, at, at + ELEMENTS_BETWEEN_LOOKS));
    if (breach instanceof Error) return breach;
    if (pace.due) await pace.next();
  }
  return tensor;
}

function attempt<T>(work: () => T): T | Error {
  try {
    return work();
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

function never(): boolean {
  return false;
}
