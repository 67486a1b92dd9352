import { allocate, elementWriter, hasNaN, numberAt, writeNaN, type Tensor } from '@sibyl/protocol';
import type { CallerContract, CallerInput } from './caller-contract';

/** A golden sample of one of two versions, as inputs of both. */
export interface SharedSample {
  /** Whose `golden.json` has it, and where. */
  readonly source: 'from' | 'to';
  readonly index: number;
  readonly from: readonly Tensor[];
  readonly to: readonly Tensor[];
}

/** What both versions answered to the golden samples that both can take. */
export interface GoldenDifference {
  /** Both were run anew, each in a process of its own. */
  readonly method: 'replay';
  readonly compared: number;
  /** Samples that only one of them can take, or compute. */
  readonly skipped: number;
  /** Samples with a value that differs. */
  readonly differing: number;
  /** By output that both have; of those whose shapes differ, the values are not compared. */
  readonly outputs: readonly OutputDifference[];
  /** The first values that differ. */
  readonly examples: readonly ValueDifference[];
  /** Why nothing was compared. */
  readonly reason?: string;
}

export interface OutputDifference {
  readonly name: string;
  readonly values: number;
  readonly differing: number;
  readonly largestDifference: number;
}

export interface ValueDifference {
  readonly source: 'from' | 'to';
  readonly sample: number;
  readonly output: string;
  readonly index: number;
  readonly from: string;
  readonly to: string;
}

const EXAMPLES = 20;

/** Inputs of one contract out of inputs of another, as a caller who names features would give them; undefined where some are lacking. */
export function adaptInputs(
  sample: readonly Tensor[],
  from: CallerContract,
  to: CallerContract,
): readonly Tensor[] | undefined {
  const adapted = to.inputs.map((input) => {
    const given = sample.find(({ name }) => name === input.name);
    const columns = from.inputs.find(({ name }) => name === input.name)?.columns;
    const asItIs = given?.datatype === input.datatype && String(columns) === String(input.columns);
    return asItIs ? fitting(given, input) : byColumns(sample, input, from, to);
  });
  return adapted.every((tensor) => tensor !== undefined) ? adapted : undefined;
}

function fitting(tensor: Tensor, { shape }: CallerInput): Tensor | undefined {
  const fits =
    !shape || (shape.length === tensor.shape.length && shape.every((n, i) => n === -1 || n === tensor.shape[i]));
  return fits ? tensor : undefined;
}

function byColumns(
  sample: readonly Tensor[],
  input: CallerInput,
  from: CallerContract,
  to: CallerContract,
): Tensor | undefined {
  const { name, datatype, columns, shape } = input;
  const rows = sample[0]?.shape[0];
  if (!columns || shape?.length !== 2 || rows === undefined) return undefined;
  const data = allocate(datatype, rows * columns.length);
  const write = elementWriter(datatype);
  for (const [place, column] of columns.entries())
    for (let row = 0; row < rows; row++) {
      const at = row * columns.length + place;
      const given = valueOf(sample, from, column, row);
      const value = given === undefined ? standIn(to, column) : given;
      if (value === null && hasNaN(datatype)) writeNaN(data, at);
      else if (value === undefined || write(data, at, value) !== undefined) return undefined;
    }
  return { name, datatype, shape: [rows, columns.length], data };
}

function valueOf(sample: readonly Tensor[], from: CallerContract, column: string, row: number): unknown {
  const input = from.inputs.find(({ columns, shape }) => columns?.includes(column) === true && shape?.length === 2);
  const tensor = sample.find(({ name }) => name === input?.name);
  if (!input?.columns || !tensor) return undefined;
  const at = row * input.columns.length + input.columns.indexOf(column);
  const value = tensor.datatype === 'BYTES' ? tensor.data[at] : numberAt(tensor, at);
  return typeof value === 'number' && Number.isNaN(value) ? null : value;
}

function standIn(to: CallerContract, column: string): unknown {
  const feature = to.features.find(({ name }) => name === column);
  return feature?.defaultValue ?? (feature?.nullable === true ? null : undefined);
}

/** Compares the answers of both to the samples, value by value. */
export function compareAnswers(
  samples: readonly SharedSample[],
  from: readonly (readonly Tensor[] | undefined)[],
  to: readonly (readonly Tensor[] | undefined)[],
): Omit<GoldenDifference, 'method'> {
  const comparison = new AnswerComparison();
  let compared = 0;
  samples.forEach((sample, i) => {
    const [before, after] = [from[i], to[i]];
    if (!before || !after) return;
    compared++;
    comparison.sample(sample, before, after);
  });
  const { differing, outputs, examples } = comparison;
  return { compared, skipped: samples.length - compared, differing, outputs: [...outputs.values()], examples };
}

class AnswerComparison {
  readonly outputs = new Map<string, { name: string; values: number; differing: number; largestDifference: number }>();
  readonly examples: ValueDifference[] = [];
  differing = 0;

  sample(sample: SharedSample, before: readonly Tensor[], after: readonly Tensor[]): void {
    let same = true;
    for (const old of before) {
      const present = after.find(({ name }) => name === old.name);
      if (present && String(present.shape) === String(old.shape)) same = this.output(sample, old, present) && same;
    }
    if (!same) this.differing++;
  }

  private output({ source, index: sample }: SharedSample, old: Tensor, present: Tensor): boolean {
    const { name } = old;
    const sum = this.outputs.get(name) ?? { name, values: 0, differing: 0, largestDifference: 0 };
    this.outputs.set(name, sum);
    const before = sum.differing;
    for (let i = 0; i < old.data.length; i++) {
      sum.values++;
      const [a, b] = [elementOf(old, i), elementOf(present, i)];
      if (Object.is(a, b)) continue;
      sum.differing++;
      const difference = typeof a === 'number' && typeof b === 'number' ? Math.abs(a - b) : 0;
      if (difference > sum.largestDifference) sum.largestDifference = difference;
      if (this.examples.length < EXAMPLES)
        this.examples.push({ source, sample, output: name, index: i, from: shown(a), to: shown(b) });
    }
    return sum.differing === before;
  }
}

/** 64-bit integers and texts as they are, everything else as a number. */
function elementOf(tensor: Tensor, i: number): unknown {
  const element = tensor.data[i];
  return typeof element === 'number' ? numberAt(tensor, i) : element;
}

function shown(value: unknown): string {
  return String(value).slice(0, 100);
}
