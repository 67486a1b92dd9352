import {
  elementCount,
  elementWriter,
  hasNaN,
  type Datatype,
  type ElementWriter,
  type TensorSpec,
} from '@sibyl/protocol';
import { compileElementRule, type ElementRule } from './element-rule';

/** A tensor that a request fills; `columns` name its last dimension. */
export interface InputSpec extends TensorSpec {
  readonly columns?: readonly string[];
}

/** What a request may send for one feature; `defaultValue` stands in where nobody has a value. */
export interface FeatureRule {
  readonly name: string;
  readonly datatype?: Datatype;
  readonly nullable?: boolean;
  /** Whoever asks must name it, if only as `null`. */
  readonly required?: boolean;
  readonly min?: number;
  readonly max?: number;
  readonly allowed?: readonly (string | number | boolean)[];
  readonly defaultValue?: unknown;
}

/** Where a feature goes: elements `offset + k * stride` of its input's row, for the `size` elements of one feature value. */
export interface FeatureSlot {
  readonly name: string;
  readonly input: number;
  readonly offset: number;
  readonly stride: number;
  readonly size: number;
  /** Shape of one value; empty for a single number or string. */
  readonly shape: readonly number[];
  readonly datatype: Datatype;
  readonly write: ElementWriter;
  readonly hasNaN: boolean;
  readonly nullable: boolean;
  /** Missing where nobody names it. */
  readonly mayBeAbsent: boolean;
  /** What the manifest asks of each element; undefined where it asks nothing. */
  readonly rule: ElementRule | undefined;
  readonly defaultValue: unknown;
  /** The name is also a member of every object, so that only own properties count. */
  readonly inherited: boolean;
}

/** The compiled request side of one model version: which tensors it takes and which features fill them. */
export interface ModelContract {
  readonly inputs: readonly InputSpec[];
  readonly slots: readonly FeatureSlot[];
  readonly slotNames: ReadonlySet<string>;
  /** The slots of each input, in the order of its columns. */
  readonly inputSlots: readonly (readonly FeatureSlot[])[];
  /** Of each input, whether the manifest asks anything of its elements. */
  readonly ruled: readonly boolean[];
  /** Elements of one row of each input; NaN where a dimension is dynamic. */
  readonly rowElements: readonly number[];
  /** No dimension of a row is dynamic, so that its tensors can be laid out before its values are read. */
  readonly fixedRows: boolean;
  /** Rows can be stacked: the first dimension of every input is dynamic and all others are fixed. */
  readonly stackable: boolean;
  /** Names as they stand in JSON of printable ASCII, for reading requests from their bytes; undefined where one needs escapes. */
  readonly plainNames: PlainNames | undefined;
  /** Of each input, whether `null` is allowed in a column; undefined where nothing is said. */
  readonly nullableColumns: readonly ((column: number) => boolean)[];
}

/** The UTF-8 of names, in the order of slots and inputs. */
export interface PlainNames {
  readonly slots: readonly Uint8Array[];
  readonly inputs: readonly Uint8Array[];
  /** Index of a slot by its name. */
  readonly slotOf: ReadonlyMap<string, number>;
}

/** Compiles what a manifest and the model's own signature say about requests. Inputs without columns are features of their own. */
export function compileContract(inputs: readonly InputSpec[], features: readonly FeatureRule[]): ModelContract {
  const rules = new Map(features.map((rule) => [rule.name, rule]));
  const slots = inputs.flatMap((input, index) => slotsOf(input, index, rules));
  const inputSlots = inputs.map((_, index) => slots.filter((slot) => slot.input === index));
  const rowElements = inputs.map((input) => elementCountOrNaN((input.shape ?? [-1, -1]).slice(1)));
  return {
    inputs,
    slots,
    plainNames: plainNames(inputs, slots),
    slotNames: new Set(slots.map((slot) => slot.name)),
    inputSlots,
    ruled: inputSlots.map((own) => own.some((slot) => slot.rule !== undefined)),
    rowElements,
    fixedRows: !rowElements.some((elements) => Number.isNaN(elements)),
    stackable: inputs.every((input, i) => input.shape?.[0] === -1 && !Number.isNaN(rowElements[i])),
    nullableColumns: inputSlots.map((own) =>
      own.length === 1 ? () => own[0]?.nullable ?? false : (column: number) => own[column]?.nullable ?? false,
    ),
  };
}

const PLAIN_NAME = /^[ !#-[\]-~]+$/;

function plainNames(inputs: readonly InputSpec[], slots: readonly FeatureSlot[]): PlainNames | undefined {
  const names = [...inputs, ...slots].map(({ name }) => name);
  if (!names.every((name) => PLAIN_NAME.test(name))) return undefined;
  return {
    inputs: inputs.map(({ name }) => Buffer.from(name)),
    slots: slots.map(({ name }) => Buffer.from(name)),
    slotOf: new Map(slots.map(({ name }, index) => [name, index])),
  };
}

function slotsOf(input: InputSpec, index: number, rules: ReadonlyMap<string, FeatureRule>): FeatureSlot[] {
  const row = (input.shape ?? [-1]).slice(1);
  if (!input.columns) {
    // [N] and [N,1] take one number or string a row, as people write it.
    const shape = elementCountOrNaN(row) === 1 && row.length <= 1 ? [] : row;
    return [
      slotOf(input, rules.get(input.name) ?? { name: input.name }, { input: index, offset: 0, stride: 1, shape }),
    ];
  }
  const stride = input.columns.length;
  const shape = row.slice(0, -1);
  return input.columns.map((name, offset) =>
    slotOf(input, rules.get(name) ?? { name }, { input: index, offset, stride, shape }),
  );
}

type Place = Pick<FeatureSlot, 'input' | 'offset' | 'stride' | 'shape'>;

function slotOf(input: InputSpec, rule: FeatureRule, place: Place): FeatureSlot {
  return {
    ...place,
    name: rule.name,
    size: elementCountOrNaN(place.shape),
    datatype: input.datatype,
    write: elementWriter(input.datatype),
    hasNaN: hasNaN(input.datatype),
    nullable: (rule.nullable ?? false) && hasNaN(input.datatype),
    mayBeAbsent: rule.nullable === true && rule.required !== true && hasNaN(input.datatype),
    rule: compileElementRule(input.datatype, rule),
    defaultValue: rule.defaultValue,
    inherited: rule.name in Object.prototype,
  };
}

function elementCountOrNaN(shape: readonly number[]): number {
  return shape.some((size) => size < 0) ? Number.NaN : elementCount(shape);
}
