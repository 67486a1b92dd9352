/** Hot path. See docs/paths/predict.md. */
import { DomainError } from '@sibyl/kernel';
import {
  allocate,
  decodeNested,
  describe,
  numberAt,
  ReadNested,
  writeNaN,
  type PlainScanner,
  type Tensor,
  type TensorData,
} from '@sibyl/protocol';
import type { FeatureSlot, ModelContract, PlainNames } from './model-contract';
import { pointerTo, RequestFaults } from './request-faults';

/** A JSON object of a request. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** Rows of a request that are being filled: one tensor an input, `capacity` rows each. */
export class FeatureRows {
  private readonly data: TensorData[] = [];
  rows = 0;

  constructor(
    private readonly contract: ModelContract,
    private readonly capacity: number,
  ) {
    for (let i = 0; i < contract.inputs.length; i++) {
      this.data.push(allocate(contract.inputs[i]?.datatype ?? 'FP32', (contract.rowElements[i] ?? 0) * capacity));
    }
  }

  /**
   * Fills the next row from named features and answers the slots that the request left out. Throws, and leaves the row free
   * for the next one, when a value is unknown (`extra` are names that somebody else knows), of the wrong type, out of range or
   * not allowed.
   */
  add(features: JsonObject, pointer: string, extra: ReadonlySet<string> = NO_NAMES): readonly FeatureSlot[] {
    const { slots } = this.contract;
    let missing: FeatureSlot[] | undefined;
    let faults: RequestFaults | undefined;
    let seen = 0;
    for (let i = 0; i < slots.length; i++) {
      const slot = slots[i] as FeatureSlot;
      const value = slot.inherited && !Object.hasOwn(features, slot.name) ? undefined : features[slot.name];
      if (value === undefined) (missing ??= []).push(slot);
      else {
        seen++;
        if (!this.put(slot, value, pointer)) faults = this.explain(slot, value, pointer, faults);
      }
    }
    const names = Object.keys(features);
    if (names.length !== seen) {
      const own = extra.size === 0 ? names : names.filter((name) => !extra.has(name));
      const { slotNames } = this.contract;
      if (own.length !== seen)
        (faults ??= new RequestFaults()).unknown(
          pointer,
          own,
          extra.size === 0 ? slotNames : new Set([...slotNames, ...extra]),
        );
    }
    faults?.throwIfAny();
    this.rows++;
    return missing ?? NONE;
  }

  /**
   * Fills the next row from the object at the scanner and answers the slots that it leaves out; undefined, with the row still
   * free, where `add` shall read it: for anything but named scalars, for a name that comes twice, and for every fault.
   */
  addPlain(scanner: PlainScanner): readonly FeatureSlot[] | undefined {
    const { slots, plainNames } = this.contract;
    if (plainNames === undefined || !scanner.pass(OPEN_BRACE)) return undefined;
    const filled = new Uint8Array(slots.length);
    let seen = 0;
    // Clients send the features in the same order each time, mostly that of the manifest.
    for (let next = 0; !scanner.pass(CLOSE_BRACE); next++, seen++) {
      if (seen > 0 && !scanner.pass(COMMA)) return undefined;
      next = slotAt(scanner, plainNames, next);
      const slot = slots[next];
      if (slot === undefined || slot.shape.length > 0 || filled[next] === 1) return undefined;
      filled[next] = 1;
      const value = scanner.scalar();
      if (value === undefined || !this.put(slot, value, '')) return undefined;
    }
    this.rows++;
    return seen === slots.length ? NONE : slots.filter((_, index) => filled[index] === 0);
  }

  /** Puts a value into the row that was added last: a default or one of the feature service. */
  supply(slot: FeatureSlot, value: unknown): void {
    const row = this.rows - 1;
    if (value === null) this.missing(slot, row);
    else if (!this.write(slot, value, row, `/${slot.name}`)) {
      throw new DomainError('internal_error', 'Something went wrong inside.', {
        cause: new Error(`the supplied value of feature '${slot.name}' does not fit its datatype`),
      });
    }
  }

  /** Gives back the row that was added last. */
  drop(): void {
    this.rows--;
  }

  /** The filled rows as tensors. */
  tensors(): Tensor[] {
    return this.contract.inputs.map((input, i) => {
      const shape = [this.rows, ...(input.shape ?? [-1]).slice(1)];
      const data = this.data[i] as TensorData;
      const filled =
        this.rows === this.capacity ? data : shorter(data, this.rows * (this.contract.rowElements[i] ?? 0));
      return { name: input.name, datatype: input.datatype, shape, data: filled };
    });
  }

  private put(slot: FeatureSlot, value: unknown, pointer: string): boolean {
    if (value === null) return slot.nullable && this.missing(slot, this.rows);
    if (!this.write(slot, value, this.rows, pointer)) return false;
    if (slot.rule === undefined || slot.shape.length > 0) return true;
    const base = this.rows * (this.contract.rowElements[slot.input] ?? 0) + slot.offset;
    return slot.rule.broken(this.data[slot.input] as TensorData, base) === undefined;
  }

  private write(slot: FeatureSlot, value: unknown, row: number, pointer: string): boolean {
    const data = this.data[slot.input] as TensorData;
    const base = row * (this.contract.rowElements[slot.input] ?? 0) + slot.offset;
    if (slot.shape.length === 0) return slot.write(data, base, value) === undefined;
    const values = nested(slot, value, pointerTo(pointer, slot.name)).data;
    if (slot.stride === 1 && !Array.isArray(data)) (data as Float32Array).set(values as Float32Array, base);
    else for (let k = 0; k < values.length; k++) data[base + k * slot.stride] = values[k] as number;
    return true;
  }

  private missing(slot: FeatureSlot, row: number): boolean {
    const data = this.data[slot.input] as TensorData;
    const base = row * (this.contract.rowElements[slot.input] ?? 0) + slot.offset;
    for (let k = 0; k < slot.size; k++) writeNaN(data, base + k * slot.stride);
    return true;
  }

  private explain(slot: FeatureSlot, value: unknown, pointer: string, known: RequestFaults | undefined): RequestFaults {
    const faults = known ?? new RequestFaults();
    noteFault(faults, slot, value, { name: slot.name, at: pointerTo(pointer, slot.name) });
    return faults;
  }
}

/** Notes what is wrong with a value for a feature, if anything is; `sent`: what the request calls it, and where it stands. */
export function noteFault(
  faults: RequestFaults,
  slot: FeatureSlot,
  value: unknown,
  sent: { readonly name: string; readonly at: string },
): void {
  if (value === null && slot.nullable) return;
  const received = describe(value);
  if (value === null) {
    faults.add('input_missing', `Feature '${sent.name}' is null and not nullable.`, {
      pointer: sent.at,
      expected: slot.datatype,
      received,
    });
    return;
  }
  const element = allocate(slot.datatype, 1);
  const fault = slot.shape.length ? undefined : (slot.write(element, 0, value) ?? slot.rule?.broken(element, 0));
  if (fault) {
    faults.add(fault.code, `Feature '${sent.name}' must be ${fault.expected}; got ${received}.`, {
      pointer: sent.at,
      expected: fault.expected,
      received,
    });
  }
}

/** Passes the name of a feature; answers its slot, -1 where none has it. `likely` is tried first. */
function slotAt(scanner: PlainScanner, names: PlainNames, likely: number): number {
  const expected = names.slots[likely];
  if (expected !== undefined && scanner.passName(expected)) return likely;
  const found = names.slotOf.get(scanner.text() ?? '');
  return found !== undefined && scanner.pass(COLON) ? found : -1;
}

const NONE: readonly FeatureSlot[] = [];
const NO_NAMES: ReadonlySet<string> = new Set();
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const COMMA = 0x2c;
const COLON = 0x3a;

function shorter(data: TensorData, length: number): TensorData {
  return Array.isArray(data) ? data.slice(0, length) : data.subarray(0, length);
}

function nested(slot: FeatureSlot, value: unknown, pointer: string): Tensor {
  const spec = { name: slot.name, datatype: slot.datatype, shape: slot.shape };
  const tensor = decodeNested(value, spec, pointer, { nullable: () => slot.nullable });
  if (slot.rule !== undefined && !(value instanceof ReadNested)) checkTensorRules(tensor, [slot], pointer);
  return tensor;
}

/**
 * Checks ranges and allowed values of a tensor whose last dimension has named columns; one slot stands for all of them. Arrays
 * that were read before (`ReadNested`) were checked then.
 */
export function checkTensorRules(
  tensor: Tensor,
  slots: readonly FeatureSlot[],
  pointer: string,
  from = 0,
  to = Number.POSITIVE_INFINITY,
): void {
  const columns = slots.length === 1 ? 1 : (tensor.shape.at(-1) ?? 1);
  const end = Math.min(tensor.data.length, to);
  for (let i = from; i < end; i++) {
    const slot = slots[i % columns];
    if (slot?.rule === undefined) continue;
    const breach = slot.rule.broken(tensor.data, i);
    if (breach === undefined) continue;
    const element = tensor.datatype === 'FP16' ? numberAt(tensor, i) : tensor.data[i];
    const received = typeof element === 'string' ? describe(element) : String(element);
    throw new DomainError(breach.code, `Feature '${slot.name}' must be ${breach.expected}; got ${received}.`, {
      faults: [{ pointer: elementPointer(pointer, tensor.shape, i), expected: breach.expected, received }],
    });
  }
}

function elementPointer(pointer: string, shape: readonly number[], index: number): string {
  const path: number[] = [];
  let rest = index;
  for (let d = shape.length - 1; d >= 0; d--) {
    const size = shape[d] ?? 1;
    path.unshift(rest % size);
    rest = Math.floor(rest / size);
  }
  return [pointer, ...path].join('/');
}
