/** Hot path. See docs/paths/predict.md. */
import { DomainError } from '@sibyl/kernel';
import type { InferReceiver } from '@sibyl/inference';
import { areLong, encodeNested, type JsonText, type Tensor } from '@sibyl/protocol';
import { longOutputs, type RowPrediction } from './decision';
import type { FeatureBasis } from './feature-reader';
import type { PredictCall } from './predict-call';
import type { ServedVersion } from './served-version';

/** What stood in for what a request left out. */
export interface RowFill {
  /** Features that have a default. */
  readonly defaulted: readonly string[];
  /** Features whose value is older than it should be. */
  readonly stale: readonly string[];
  /** What the values were made from, where a feature source gave them. */
  readonly basis: FeatureBasis | undefined;
  /** Both as of the source. */
  readonly unsettled?: boolean | undefined;
  readonly beyondRetention?: boolean | undefined;
}

/** A prediction, and what stood in for what its request left out. */
export interface RowAnswer extends RowPrediction {
  readonly fill: RowFill | undefined;
}

/** Who waits for an answer: one of the two is called, once, perhaps before the call returns. Neither may throw. */
export interface Receiver<T> {
  succeeded(answer: T): void;
  failed(error: Error): void;
}

/** Outputs as JSON text, and the prediction where there is one row to decide about. */
export interface TensorAnswer {
  readonly outputsJson: JsonText;
  readonly prediction: RowPrediction | undefined;
}

/** Reads the outputs of one row for whoever asked. */
export class RowInference implements InferReceiver {
  constructor(
    private readonly served: ServedVersion,
    private readonly fill: RowFill | undefined,
    private readonly call: PredictCall,
    private readonly receiver: Receiver<RowAnswer>,
  ) {}

  answered(outputs: readonly Tensor[]): void {
    if (this.served.decision.readLong !== undefined && areLong(outputs)) void this.answerLong(outputs);
    else this.tell(readRow(this.served, outputs, 0, 1, this.fill));
  }

  failed(error: Error): void {
    this.receiver.failed(error);
  }

  private async answerLong(outputs: readonly Tensor[]): Promise<void> {
    this.tell(await readLongRow(this.served, outputs, { index: 0, total: 1, fill: this.fill }, this.call));
  }

  private tell(answer: RowAnswer | DomainError): void {
    if (answer instanceof DomainError) this.receiver.failed(answer);
    else this.receiver.succeeded(answer);
  }
}

/** Reads the outputs of tensors for whoever asked. */
export class TensorInference implements InferReceiver {
  constructor(
    private readonly served: ServedVersion,
    private readonly decides: boolean,
    private readonly call: PredictCall,
    private readonly receiver: Receiver<TensorAnswer>,
  ) {}

  answered(outputs: readonly Tensor[]): void {
    if (areLong(outputs)) {
      void this.answerLong(outputs);
      return;
    }
    let answer: TensorAnswer;
    try {
      const prediction = this.decides ? this.served.decision.read(outputs, 0, 1) : undefined;
      answer = { outputsJson: outputsText(outputs), prediction };
    } catch (error) {
      this.receiver.failed(asDomainError(error));
      return;
    }
    this.receiver.succeeded(answer);
  }

  failed(error: Error): void {
    this.receiver.failed(error);
  }

  private async answerLong(outputs: readonly Tensor[]): Promise<void> {
    let answer: TensorAnswer;
    try {
      await this.call.next();
      const prediction = this.decides ? await decideLong(this.served, outputs, 0, 1, this.call) : undefined;
      answer = { outputsJson: await longOutputs(outputs, this.call), prediction };
    } catch (error) {
      this.receiver.failed(asDomainError(error));
      return;
    }
    this.receiver.succeeded(answer);
  }
}

function outputsText(outputs: readonly Tensor[]): string {
  let text = '';
  for (const tensor of outputs)
    text += `${text === '' ? '{' : ','}${JSON.stringify(tensor.name)}:${encodeNested(tensor)}`;
  return text === '' ? '{}' : `${text}}`;
}

/** Whether each output begins with one for each row. */
export function areRows(outputs: readonly Tensor[], rows: number): boolean {
  for (const { shape } of outputs) if (shape[0] !== rows) return false;
  return true;
}

/** The answer for one row of outputs, or why there is none. */
export function readRow(
  served: ServedVersion,
  outputs: readonly Tensor[],
  index: number,
  total: number,
  fill: RowFill | undefined,
): RowAnswer | DomainError {
  try {
    const { json, label, value } = served.decision.read(outputs, index, total);
    return { json, label, value, fill };
  } catch (error) {
    return asDomainError(error);
  }
}

/** A row of a run of `total`. */
interface RowPlace {
  readonly index: number;
  readonly total: number;
  readonly fill: RowFill | undefined;
}

/** The same in slices. */
export async function readLongRow(
  served: ServedVersion,
  outputs: readonly Tensor[],
  { index, total, fill }: RowPlace,
  call: PredictCall,
): Promise<RowAnswer | DomainError> {
  try {
    if (call.due) await call.next();
    const { json, label, value } = await decideLong(served, outputs, index, total, call);
    return { json, label, value, fill };
  } catch (error) {
    return asDomainError(error);
  }
}

async function decideLong(
  { decision }: ServedVersion,
  outputs: readonly Tensor[],
  index: number,
  total: number,
  call: PredictCall,
): Promise<RowPrediction> {
  if (decision.readLong !== undefined) return decision.readLong(outputs, index, total, call);
  return decision.read(outputs, index, total);
}

/** Anything else than a DomainError is a fault of ours and keeps its cause for the log. */
export function asDomainError(error: unknown): DomainError {
  if (error instanceof DomainError) return error;
  return new DomainError('internal_error', 'Something went wrong inside.', { cause: error });
}
