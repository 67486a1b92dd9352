/** Hot path. See docs/paths/predict.md. */
import { DomainError, type Clock } from '@sibyl/kernel';
import type { InferRequest, LoadedModel } from '@sibyl/inference';
import { encodeNested, type Tensor } from '@sibyl/protocol';
import type { RowPrediction } from './decision';
import { decodeDynamicRow } from './dynamic-row';
import type { FeatureQuery, FeatureReader } from './feature-reader';
import { FeatureRows, type JsonObject } from './feature-rows';
import type { FeatureSlot } from './model-contract';
import type { ModelReconciler } from './model-reconciler';
import { pointerTo, RequestFaults } from './request-faults';
import type { ServedVersion } from './served-version';
import type { Resolution } from './serving-table';
import { decodeTensorInputs, rowsOf } from './tensor-inputs';

/** One row that a caller asks about. */
export interface RowRequest {
  readonly features: JsonObject;
  readonly query: FeatureQuery;
  /** Where the features stand in the request, for errors. */
  readonly pointer: string;
}

/** A prediction and the features that a default stood in for. */
export interface RowAnswer extends RowPrediction {
  readonly defaulted: readonly string[] | undefined;
}

/** The work of one call: its deadline, and a way to drop what still waits when the caller hangs up. */
export class PredictCall {
  private readonly requests: InferRequest[] = [];
  private aborted = false;

  /** `deadlineAt` is a time of the monotonic clock in milliseconds. */
  constructor(readonly deadlineAt: number) {}

  request(inputs: readonly Tensor[], rows: number): InferRequest {
    const request: InferRequest = { inputs, rows, deadlineAt: this.deadlineAt, aborted: this.aborted };
    this.requests.push(request);
    return request;
  }

  abort(): void {
    this.aborted = true;
    for (const request of this.requests) request.aborted = true;
  }
}

/** Answers for features or tensors with the version that the serving table names. */
export class PredictionService {
  constructor(
    private readonly reconciler: ModelReconciler,
    private readonly features: FeatureReader,
    private readonly clock: Clock,
  ) {}

  resolve(model: string, version: string | undefined): Resolution {
    return this.reconciler.resolve(model, version);
  }

  /** One row. Throws what is wrong with it, or why the model cannot answer. */
  async predictRow(served: ServedVersion, row: RowRequest, call: PredictCall): Promise<RowAnswer> {
    const { contract } = served;
    if (!contract.rowElements.every((elements) => elements === elements)) return this.predictDynamic(served, row, call);
    const rows = new FeatureRows(contract, 1);
    const defaulted = this.addRow(rows, row);
    const outputs = await this.infer(served, call.request(rows.tensors(), contract.stackable ? 1 : 0));
    return answer(served.decision.read(outputs, 0, 1), defaulted);
  }

  /**
   * Many rows of one version in as few runs as the model takes; an item is the answer or what was wrong with that row.
   * A row that the model itself cannot answer fails alone.
   */
  async predictRows(
    served: ServedVersion,
    requests: readonly RowRequest[],
    call: PredictCall,
  ): Promise<(RowAnswer | DomainError)[]> {
    if (!served.contract.stackable) {
      return Promise.all(requests.map((row) => this.predictRow(served, row, call).catch(asDomainError)));
    }
    const rows = new FeatureRows(served.contract, requests.length);
    const placed = requests.map((row) => this.tryAdd(rows, row));
    if (rows.rows === 0) return placed.map((place) => place as DomainError);
    const total = rows.rows;
    const outputs = await this.infer(served, call.request(rows.tensors(), total)).catch(asDomainError);
    let index = 0;
    return placed.map((place) => {
      if (place instanceof DomainError) return place;
      if (outputs instanceof DomainError) return outputs;
      return readRow(served, outputs, index++, total, place.defaulted);
    });
  }

  /** Tensors in, tensors out; a prediction too where there is one row to decide about. */
  async predictTensors(
    served: ServedVersion,
    inputs: JsonObject,
    call: PredictCall,
    rowsMax: number,
  ): Promise<TensorAnswer> {
    const tensors = decodeTensorInputs(served.contract, inputs, '/inputs');
    const rows = rowsOf(served.contract, tensors, rowsMax);
    const outputs = await this.infer(served, call.request(tensors, rows));
    const decides = served.facts.manifest.task !== undefined && tensors.every((tensor) => tensor.shape[0] === 1);
    return {
      outputsJson: outputsText(outputs),
      prediction: decides ? served.decision.read(outputs, 0, 1) : undefined,
    };
  }

  /** Not async: a loaded version, which nearly every request finds, costs no promise of its own. */
  private infer(served: ServedVersion, request: InferRequest): Promise<readonly Tensor[]> {
    const { loaded } = served;
    if (loaded !== undefined) return this.inferWith(served, loaded, request);
    return this.reconciler
      .ready(served, request.deadlineAt)
      .then((ready: LoadedModel) => this.inferWith(served, ready, request));
  }

  private inferWith(served: ServedVersion, loaded: LoadedModel, request: InferRequest): Promise<readonly Tensor[]> {
    served.lastUsedAtMs = this.clock.now();
    return loaded.infer(request);
  }

  private addRow(rows: FeatureRows, row: RowRequest): readonly string[] | undefined {
    const missing = rows.add(row.features, row.pointer);
    if (missing.length === 0) return undefined;
    const known = this.features.read(row.query, missing);
    const { values, defaulted } = fill(missing, known, row.pointer, () => rows.drop());
    for (const slot of missing) rows.supply(slot, values[slot.name]);
    return defaulted.length ? defaulted : undefined;
  }

  private tryAdd(rows: FeatureRows, row: RowRequest): { defaulted: readonly string[] | undefined } | DomainError {
    try {
      return { defaulted: this.addRow(rows, row) };
    } catch (error) {
      return asDomainError(error);
    }
  }

  private async predictDynamic(served: ServedVersion, row: RowRequest, call: PredictCall): Promise<RowAnswer> {
    const { contract } = served;
    const missing = contract.slots.filter((slot) => !Object.hasOwn(row.features, slot.name));
    const known = missing.length ? this.features.read(row.query, missing) : undefined;
    const { values, defaulted } = fill(missing, known, row.pointer, () => undefined);
    const tensors = decodeDynamicRow(contract, row.features, values, row.pointer);
    const outputs = await this.infer(served, call.request(tensors, 0));
    return answer(served.decision.read(outputs, 0, 1), defaulted.length ? defaulted : undefined);
  }
}

export interface TensorAnswer {
  readonly outputsJson: string;
  readonly prediction: RowPrediction | undefined;
}

function outputsText(outputs: readonly Tensor[]): string {
  let text = '';
  for (const tensor of outputs)
    text += `${text === '' ? '{' : ','}${JSON.stringify(tensor.name)}:${encodeNested(tensor)}`;
  return text === '' ? '{}' : `${text}}`;
}

function answer(prediction: RowPrediction, defaulted: readonly string[] | undefined): RowAnswer {
  return { json: prediction.json, defaulted, ...labelled(prediction) };
}

function labelled(prediction: RowPrediction): Pick<RowPrediction, 'label' | 'value'> {
  if (prediction.label !== undefined) return { label: prediction.label };
  return prediction.value === undefined ? {} : { value: prediction.value };
}

function readRow(
  served: ServedVersion,
  outputs: readonly Tensor[],
  index: number,
  total: number,
  defaulted: readonly string[] | undefined,
): RowAnswer | DomainError {
  try {
    return answer(served.decision.read(outputs, index, total), defaulted);
  } catch (error) {
    return asDomainError(error);
  }
}

/** Values for what a request left out, in the contract's order: the feature service, the default, NaN; else an error naming all. */
function fill(
  missing: readonly FeatureSlot[],
  known: ReadonlyMap<string, unknown> | undefined,
  pointer: string,
  onFailure: () => void,
): { values: Record<string, unknown>; defaulted: string[] } {
  const values: Record<string, unknown> = {};
  const defaulted: string[] = [];
  let faults: RequestFaults | undefined;
  for (const slot of missing) {
    const value = known?.get(slot.name);
    if (value !== undefined) values[slot.name] = value;
    else if (slot.defaultValue !== undefined) {
      values[slot.name] = slot.defaultValue;
      defaulted.push(slot.name);
    } else if (slot.nullable) values[slot.name] = null;
    else {
      const names = missing
        .filter((other) => other.defaultValue === undefined && !other.nullable)
        .map((other) => other.name);
      (faults ??= new RequestFaults()).add(
        'incomplete_features',
        `Missing features: ${names.slice(0, 64).join(', ')}.`,
        {
          pointer: pointerTo(pointer, slot.name),
          expected: slot.datatype,
          received: 'nothing',
        },
      );
    }
  }
  if (faults) {
    onFailure();
    throw faults.error();
  }
  return { values, defaulted };
}

/** Anything else than a DomainError is a fault of ours and keeps its cause for the log. */
function asDomainError(error: unknown): DomainError {
  if (error instanceof DomainError) return error;
  return new DomainError('internal_error', 'Something went wrong inside.', { cause: error });
}
