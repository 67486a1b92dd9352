/** Hot path. See docs/paths/predict.md. */
import { DomainError, type Pace } from '@sibyl/kernel';
import {
  encodeLong,
  encodeNested,
  joinJson,
  numberAt,
  type JsonText,
  type Tensor,
  type TensorSpec,
} from '@sibyl/protocol';

/** How outputs become a prediction; the manifest's `decision` member (contract §2). */
export interface DecisionRule {
  readonly field?: string;
  readonly labelOutput?: string;
  readonly probabilityOutput?: string;
  readonly logitOutput?: string;
  readonly valueOutput?: string;
  readonly scoreOutput?: string;
  readonly positiveClass?: string | number | boolean;
  readonly threshold?: number;
  /** Answer the probability of every class too. */
  readonly probabilities?: boolean;
}

/** One row's prediction: its JSON text, and what metrics count of it. */
export interface RowPrediction {
  readonly json: JsonText;
  readonly label?: string | undefined;
  readonly value?: number | undefined;
}

/** One that is a single string. */
export interface ShortPrediction extends RowPrediction {
  readonly json: string;
}

/** Reads predictions out of output tensors; compiled once per version. */
export interface DecisionReader {
  read(outputs: readonly Tensor[], row: number, rows: number): ShortPrediction;
  /** The same in slices, where an answer can be long. */
  readLong?(outputs: readonly Tensor[], row: number, rows: number, pace: Pace): Promise<RowPrediction>;
}

export interface DecisionSource {
  readonly task: string;
  readonly outputs: readonly TensorSpec[];
  readonly classes?: readonly (string | number | boolean)[];
  readonly decision?: DecisionRule;
}

/** The task of a model whose manifest names none: its outputs tell what it is. */
export const UNKNOWN_TASK = 'unknown';

/** The reader that fits the task and outputs: classifier, regression, or all outputs as they are. */
export function compileDecision(source: DecisionSource): DecisionReader {
  return (
    compileClassifier(source, source.decision ?? {}) ??
    compileValue(source, source.decision ?? {}) ??
    new OutputsReader()
  );
}

function compileClassifier(source: DecisionSource, rule: DecisionRule): DecisionReader | undefined {
  const label = rule.labelOutput ?? undeclared(source, rule, isLabelOutput);
  const scores = rule.probabilityOutput ?? rule.logitOutput ?? undeclared(source, rule, isScoresOutput);
  if (source.task === 'classification') {
    return label === undefined && scores === undefined ? undefined : new ClassReader(source, rule, label, scores);
  }
  const looksLikeOne = source.task === UNKNOWN_TASK && label !== undefined && scores !== undefined;
  return looksLikeOne ? new ClassReader(source, rule, label, scores) : undefined;
}

function compileValue(source: DecisionSource, rule: DecisionRule): DecisionReader | undefined {
  const sole = source.outputs.length === 1 ? source.outputs[0]?.name : undefined;
  const output = rule.valueOutput ?? rule.scoreOutput ?? sole;
  if (output === undefined || !isSingleValue(source.outputs.find(({ name }) => name === output))) return undefined;
  if (rule.valueOutput === undefined && rule.scoreOutput !== undefined)
    return new ValueReader(output, rule.field ?? 'score');
  const isNumber = source.task === 'regression' || source.task === UNKNOWN_TASK || rule.valueOutput !== undefined;
  return isNumber ? new ValueReader(output, rule.field ?? 'value') : undefined;
}

function undeclared(
  source: DecisionSource,
  rule: DecisionRule,
  fits: (output: TensorSpec) => boolean,
): string | undefined {
  if (rule.labelOutput ?? rule.probabilityOutput ?? rule.logitOutput ?? rule.valueOutput) return undefined;
  const found = source.outputs.filter(fits);
  return found.length === 1 ? found[0]?.name : undefined;
}

function isLabelOutput(output: TensorSpec): boolean {
  return (output.datatype === 'INT64' || output.datatype === 'BYTES') && (output.shape?.length ?? 1) === 1;
}

function isScoresOutput(output: TensorSpec): boolean {
  return output.datatype.startsWith('FP') && output.shape?.length === 2 && output.shape[1] !== 1;
}

function isSingleValue(output: TensorSpec | undefined): boolean {
  if (!output || output.datatype === 'BYTES') return false;
  const row = output.shape?.slice(1) ?? [];
  return row.length === 0 || (row.length === 1 && row[0] === 1);
}

function outputNamed(outputs: readonly Tensor[], name: string): Tensor {
  for (const tensor of outputs) if (tensor.name === name) return tensor;
  throw new DomainError('internal_error', 'Something went wrong inside.', {
    cause: new Error(`the model gave no output '${name}'`),
  });
}

function invalid(value: number, output: string): DomainError {
  return new DomainError(
    'model_output_invalid',
    `The model answered ${value} in output '${output}', which is not a finite number.`,
    {
      faults: [{ pointer: `/outputs/${output}`, expected: 'a finite number', received: String(value) }],
    },
  );
}

class ValueReader implements DecisionReader {
  private readonly head: string;

  constructor(
    private readonly output: string,
    field: string,
  ) {
    this.head = `{${JSON.stringify(field)}:`;
  }

  read(outputs: readonly Tensor[], row: number): ShortPrediction {
    const tensor = outputNamed(outputs, this.output);
    const value = numberAt(tensor, row);
    if (value - value !== 0) throw invalid(value, this.output);
    const element = tensor.data[row];
    // 64-bit integers keep their digits in the answer; the metric has what a double holds of them.
    return { json: `${this.head}${typeof element === 'bigint' ? element : value}}`, value };
  }
}

/** Every output of the row under its name. */
class OutputsReader implements DecisionReader {
  read(outputs: readonly Tensor[], row: number, rows: number): ShortPrediction {
    const parts = outputs.map(
      (tensor) => `${JSON.stringify(tensor.name)}:${encodeNested(rows > 0 ? rowOf(tensor, row, rows) : tensor)}`,
    );
    return { json: `{"outputs":{${parts.join(',')}}}` };
  }

  async readLong(outputs: readonly Tensor[], row: number, rows: number, pace: Pace): Promise<RowPrediction> {
    const own = rows > 0 ? outputs.map((tensor) => rowOf(tensor, row, rows)) : outputs;
    return { json: joinJson(['{"outputs":', await longOutputs(own, pace), '}']) };
  }
}

/** Tensors under their names, written in slices. */
export async function longOutputs(outputs: readonly Tensor[], pace: Pace): Promise<JsonText> {
  const texts: JsonText[] = [];
  for (const tensor of outputs) {
    texts.push(`${texts.length === 0 ? '{' : ','}${JSON.stringify(tensor.name)}:`, await encodeLong(tensor, pace));
  }
  return joinJson([...texts, texts.length === 0 ? '{}' : '}']);
}

/** One row of a tensor whose first dimension is the rows; others are given whole. */
function rowOf(tensor: Tensor, row: number, rows: number): Tensor {
  if (tensor.shape[0] !== rows) return tensor;
  const size = tensor.data.length / rows;
  const data = Array.isArray(tensor.data)
    ? tensor.data.slice(row * size, (row + 1) * size)
    : tensor.data.subarray(row * size, (row + 1) * size);
  return { name: tensor.name, datatype: tensor.datatype, shape: tensor.shape.slice(1), data };
}

class ClassReader implements DecisionReader {
  private readonly head: string;
  private readonly classes: readonly string[];
  private readonly classTexts: readonly string[];
  private readonly positive: number;
  private readonly threshold: number | undefined;
  private readonly logits: boolean;
  private readonly scratch: Float64Array;

  constructor(
    source: DecisionSource,
    private readonly rule: DecisionRule,
    private readonly label: string | undefined,
    private readonly scores: string | undefined,
  ) {
    const columns = source.outputs.find((output) => output.name === scores)?.shape?.at(-1) ?? 0;
    this.classes = (source.classes ?? []).map(String);
    this.classTexts = (source.classes ?? []).map((name) => JSON.stringify(name));
    this.head = `{${JSON.stringify(rule.field ?? 'label')}:`;
    const positive = rule.positiveClass === undefined ? 1 : this.classes.indexOf(String(rule.positiveClass));
    this.positive = positive < 0 ? 1 : positive;
    this.threshold = this.classes.length === 2 || columns === 2 || columns === 1 ? rule.threshold : undefined;
    this.logits = rule.probabilityOutput === undefined && rule.logitOutput !== undefined;
    this.scratch = new Float64Array(Math.max(columns, this.classes.length, 2));
  }

  read(outputs: readonly Tensor[], row: number, rows: number): ShortPrediction {
    const count = this.scores === undefined ? 0 : this.probabilities(outputNamed(outputs, this.scores), row, rows);
    const label = this.modelLabel(outputs, row, count);
    const index = label === undefined ? this.best(count) : this.indexOfLabel(label);
    const text = index >= 0 ? (this.classTexts[index] ?? String(index)) : JSON.stringify(label);
    let json = `${this.head}${text}`;
    if (count > 0) {
      // A label that the manifest does not list has no column of its own; the winner's probability is the model's for it.
      const probability = this.scratch[index >= 0 && index < count ? index : indexOfMax(this.scratch, count)];
      json += `,"confidence":${probability},"probability":${probability}`;
    }
    if (this.rule.probabilities === true && count > 0) json += `,"probabilities":{${this.all(count)}}`;
    return { json: `${json}}`, label: index >= 0 ? (this.classes[index] ?? text) : String(label) };
  }

  /** Probabilities of the row in `scratch`; answers how many. One column is the probability of the positive class. */
  private probabilities(tensor: Tensor, row: number, rows: number): number {
    const columns = tensor.data.length / Math.max(rows, 1);
    const p = this.scratch;
    const known = Math.min(columns, p.length);
    for (let i = 0; i < known; i++) {
      const value = numberAt(tensor, row * columns + i);
      if (value - value !== 0) throw invalid(value, tensor.name);
      p[i] = value;
    }
    if (columns === 1) {
      const one = this.logits ? 1 / (1 + Math.exp(-(p[0] ?? 0))) : (p[0] ?? 0);
      p[this.positive] = one;
      p[1 - this.positive] = 1 - one;
      return 2;
    }
    if (this.logits) softmax(p, known);
    return known;
  }

  /** The label as the model gives it; undefined where the probabilities decide: by threshold, or without a label output. */
  private modelLabel(outputs: readonly Tensor[], row: number, count: number): number | string | undefined {
    if (this.label === undefined || (this.threshold !== undefined && count === 2)) return undefined;
    const label = outputNamed(outputs, this.label).data[row];
    if (typeof label === 'string') return label;
    const number = Number(label);
    // Past 2^53 a number would lose digits, and with them the class.
    return typeof label === 'bigint' && !Number.isSafeInteger(number) ? String(label) : number;
  }

  private best(count: number): number {
    if (this.threshold === undefined || count !== 2) return indexOfMax(this.scratch, count);
    return (this.scratch[this.positive] ?? 0) >= this.threshold ? this.positive : 1 - this.positive;
  }

  /** Labels name a class, or count it: 1 is the class "1" where there is one, else the second class. */
  private indexOfLabel(label: number | string): number {
    const named = this.classes.indexOf(String(label));
    if (named >= 0 || typeof label === 'string') return named;
    return Number.isInteger(label) && label >= 0 && label < this.classes.length ? label : -1;
  }

  private all(count: number): string {
    const parts: string[] = [];
    for (let i = 0; i < count; i++) parts.push(`${JSON.stringify(this.classes[i] ?? String(i))}:${this.scratch[i]}`);
    return parts.join(',');
  }
}

function indexOfMax(values: Float64Array, count: number): number {
  let best = 0;
  for (let i = 1; i < count; i++) if ((values[i] ?? 0) > (values[best] ?? 0)) best = i;
  return best;
}

function softmax(values: Float64Array, count: number): void {
  const max = values[indexOfMax(values, count)] ?? 0;
  let sum = 0;
  for (let i = 0; i < count; i++) {
    const e = Math.exp((values[i] ?? 0) - max);
    values[i] = e;
    sum += e;
  }
  for (let i = 0; i < count; i++) values[i] = (values[i] ?? 0) / sum;
}
