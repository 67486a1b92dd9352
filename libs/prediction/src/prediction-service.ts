/** Hot path. See docs/paths/predict.md. */
import { DomainError, invariant, type Clock, type ErrorCode } from '@sibyl/kernel';
import type { InferReceiver, InferRequest } from '@sibyl/inference';
import { areLong, type Tensor } from '@sibyl/protocol';
import { runInFixedBatches } from './fixed-batch';
import type { FeatureCall, FeatureReader, FilledRows } from './feature-reader';
import { FeatureRows } from './feature-rows';
import { readLongFeatures, readLongTensors } from './long-inputs';
import { addRow, dynamicRow, supply, tryAdd, type FillingRow, type Placed } from './filling-rows';
import { AwaitedLoads, type AwaitedLoadLimits } from './awaited-loads';
import type { ModelReconciler } from './model-reconciler';
import { readPlainTensors } from './plain-tensors';
import type { LongParts, PlainCall, RowGroup, RowRequest, TensorCall } from './call-parts';
import type { PredictCall } from './predict-call';
import {
  areRows,
  asDomainError,
  readLongRow,
  readRow,
  RowInference,
  TensorInference,
  type Receiver,
  type RowAnswer,
  type TensorAnswer,
} from './row-inference';
import type { ServedVersion } from './served-version';
import type { Resolution } from './serving-table';
import { decodeTensorInputs, rowsOf } from './tensor-inputs';

/** Answers for features or tensors with the version that the serving table names. */
export class PredictionService {
  private readonly awaited: AwaitedLoads;

  constructor(
    private readonly reconciler: ModelReconciler,
    private readonly features: FeatureReader,
    private readonly clock: Clock,
    limits: AwaitedLoadLimits,
  ) {
    this.awaited = new AwaitedLoads(reconciler, limits);
  }

  resolve(model: string, version: string | undefined): Resolution {
    return this.reconciler.resolve(model, version);
  }

  /**
   * One row. Throws what is wrong with it; the receiver hears the answer, or why the model cannot give one, or why its features
   * could not be found where that took time.
   */
  submitRow(served: ServedVersion, row: RowRequest, call: PredictCall, receiver: Receiver<RowAnswer>): void {
    const features = this.features.featuresOf(served);
    if (features === undefined) {
      this.submitFilled(served, row, call, receiver);
      return;
    }
    const found = features.read([row], { deadlineAt: call.deadlineAt, rows: 1 });
    const submit = (filled: FilledRows): void => {
      const { query, pointer } = row;
      const filling = { features: row.features, query, pointer, source: features, filled: filled[0] };
      this.submitFilled(served, filling, call, receiver);
    };
    if (!(found instanceof Promise)) {
      submit(found);
      return;
    }
    found.then(submit).catch((error: unknown) => receiver.failed(asDomainError(error)));
  }

  private submitFilled(served: ServedVersion, row: FillingRow, call: PredictCall, receiver: Receiver<RowAnswer>): void {
    const { contract } = served;
    if (!contract.fixedRows) {
      this.submitDynamic(served, row, call, receiver);
      return;
    }
    const rows = new FeatureRows(contract, 1);
    const fill = addRow(rows, row);
    const request = call.request(rows.tensors(), contract.stackable ? 1 : 0);
    this.submit(served, request, new RowInference(served, fill, call, receiver));
  }

  /** Rows of several versions, as `predictRows` has them for one; what they leave out is read at once for all of them. */
  async predictGroups(groups: readonly RowGroup[], call: PredictCall): Promise<(RowAnswer | DomainError)[][]> {
    // First of all: reads that begin in one turn are one.
    if (call.long) for (const { served, rows } of groups) await this.readLong(served, { rows }, call);
    const reads = { deadlineAt: call.deadlineAt, rows: groups.reduce((sum, { rows }) => sum + rows.length, 0) };
    const filling = await Promise.all(groups.map(({ served, rows }) => this.fillAll(served, rows, reads)));
    return Promise.all(groups.map(({ served }, i) => this.predictFilled(served, filling[i] ?? [], call)));
  }

  /**
   * Many rows of one version in as few runs as the model takes; an item is the answer or what was wrong with that row.
   * A row that the model itself cannot answer fails alone.
   */
  async predictRows(
    served: ServedVersion,
    rows: readonly RowRequest[],
    call: PredictCall,
  ): Promise<(RowAnswer | DomainError)[]> {
    const [answers = []] = await this.predictGroups([{ served, rows }], call);
    return answers;
  }

  private async predictFilled(
    served: ServedVersion,
    filling: readonly FillingRow[],
    call: PredictCall,
  ): Promise<(RowAnswer | DomainError)[]> {
    if (!served.batchable && !(served.contract.stackable && served.fixedBatch !== undefined))
      return this.predictSingly(served, filling, call);
    const rows = new FeatureRows(served.contract, filling.length);
    const placed: Placed[] = [];
    for (const row of filling) {
      placed.push(tryAdd(rows, row));
      if (call.long && call.due) await call.next();
    }
    const total = rows.rows;
    const good = placed.filter((place) => !(place instanceof DomainError));
    invariant(good.length === total, `${total} rows are to run, and ${good.length} are to be answered`);
    if (total === 0) return placed.map((place) => place as DomainError);
    const outputs = await this.infer(served, call.request(rows.tensors(), total));
    // One of them may be to blame, or the outputs are not one for each: by themselves the others have their answers.
    const apart = outputs instanceof DomainError ? OF_A_ROW.has(outputs.code) : !areRows(outputs, total);
    if (total > 1 && apart) return this.predictSingly(served, filling, call);
    return this.readRows(served, outputs, placed, { total, call });
  }

  /** What a feature source has for the rows: one read for all of them. */
  private async fillAll(
    served: ServedVersion,
    requests: readonly RowRequest[],
    call: FeatureCall,
  ): Promise<readonly FillingRow[]> {
    const source = this.features.featuresOf(served);
    if (source === undefined) return requests;
    const found = await source.read(requests, call);
    return requests.map((row, i) => ({ ...row, source, filled: found[i] }));
  }

  /** Reads the nested arrays of a long call, so that what follows finds them read. */
  async readLong(served: ServedVersion, { inputs, rows }: LongParts, call: PredictCall): Promise<void> {
    if (inputs !== undefined) await readLongTensors(served.contract, inputs, call);
    for (const row of rows) await readLongFeatures(served.contract, row, call);
  }

  private async readRows(
    served: ServedVersion,
    outputs: readonly Tensor[] | DomainError,
    placed: readonly Placed[],
    { total, call }: { readonly total: number; readonly call: PredictCall },
  ): Promise<(RowAnswer | DomainError)[]> {
    const long = call.long || (Array.isArray(outputs) && areLong(outputs));
    const answers: (RowAnswer | DomainError)[] = [];
    for (const place of placed) {
      if (place instanceof DomainError) answers.push(place);
      else if (outputs instanceof DomainError) answers.push(outputs);
      else if (long) answers.push(await readLongRow(served, outputs, { ...place, total }, call));
      else answers.push(readRow(served, outputs, place.index, total, place.fill));
    }
    return answers;
  }

  /** Tensors in, tensors out; a prediction too where there is one row to decide about. Throws like `submitRow`. */
  submitTensors(served: ServedVersion, call: TensorCall, receiver: Receiver<TensorAnswer>): void {
    this.submitDecoded(served, decodeTensorInputs(served.contract, call.inputs, '/inputs'), call, receiver);
  }

  /** Why a call would be refused at once, before anything of it is read: under overload most of them are. */
  refusal(served: ServedVersion, { deadlineAt, bulk }: PredictCall): DomainError | undefined {
    const { loaded } = served;
    return loaded === undefined ? this.awaited.refusal(served, 0) : loaded.admit({ rows: 1, deadlineAt, bulk }, 0);
  }

  /**
   * `submitRow` with features that are still bytes: the object at the scanner. False, and nothing has happened, where they are
   * not plain enough to be read so, or wrong; `submitRow` then reads them, or says what is wrong.
   */
  submitPlainRow(served: ServedVersion, row: PlainCall, receiver: Receiver<RowAnswer>): boolean {
    const { contract } = served;
    // A feature source wants to know what the request gives, which would go by as bytes.
    if (!contract.fixedRows || this.features.featuresOf(served) !== undefined) return false;
    const rows = new FeatureRows(contract, 1);
    const missing = rows.addPlain(row.scanner);
    if (missing === undefined) return false;
    const fill = supply(rows, missing, { pointer: '/features' });
    const request = row.call.request(rows.tensors(), contract.stackable ? 1 : 0);
    this.submit(served, request, new RowInference(served, fill, row.call, receiver));
    return true;
  }

  /** The same for `submitTensors`. */
  submitPlainTensors(
    served: ServedVersion,
    { scanner, call, rowsMax }: PlainCall,
    receiver: Receiver<TensorAnswer>,
  ): boolean {
    const tensors = readPlainTensors(served.contract, scanner);
    if (tensors === undefined) return false;
    this.submitDecoded(served, tensors, { call, rowsMax }, receiver);
    return true;
  }

  private submitDecoded(
    served: ServedVersion,
    tensors: readonly Tensor[],
    { call, rowsMax }: Pick<TensorCall, 'call' | 'rowsMax'>,
    receiver: Receiver<TensorAnswer>,
  ): void {
    const rows = rowsOf(served, tensors, rowsMax);
    const decides = served.facts.manifest.task !== undefined && isOneRow(tensors);
    this.submit(served, call.request(tensors, rows), new TensorInference(served, decides, call, receiver));
  }

  private async predictSingly(
    served: ServedVersion,
    requests: readonly FillingRow[],
    call: PredictCall,
  ): Promise<(RowAnswer | DomainError)[]> {
    const answers = new Array<RowAnswer | DomainError>(requests.length);
    let next = 0;
    // A few at a time: one call shall neither fill the queue nor be refused because it does.
    const oneByOne = async (): Promise<void> => {
      for (let row = requests[next]; row !== undefined; row = requests[next]) {
        const index = next++;
        answers[index] = await this.predictRow(served, row, call);
        if (call.long && call.due) await call.next();
      }
    };
    await Promise.all(Array.from({ length: Math.min(ROWS_AT_ONCE, requests.length) }, oneByOne));
    return answers;
  }

  private predictRow(served: ServedVersion, row: FillingRow, call: PredictCall): Promise<RowAnswer | DomainError> {
    return new Promise((resolve) => {
      const failed = (error: unknown): void => resolve(asDomainError(error));
      try {
        this.submitFilled(served, row, call, { succeeded: resolve, failed });
      } catch (error) {
        failed(error);
      }
    });
  }

  private infer(served: ServedVersion, request: InferRequest): Promise<readonly Tensor[] | DomainError> {
    return new Promise((resolve) =>
      this.submit(served, request, { answered: resolve, failed: (error) => resolve(asDomainError(error)) }),
    );
  }

  private submit(served: ServedVersion, request: InferRequest, receiver: InferReceiver): void {
    const { fixedBatch } = served;
    if (fixedBatch === undefined || request.rows === fixedBatch || request.rows === 0)
      this.run(served, request, receiver);
    else runInFixedBatches(request, fixedBatch, receiver, (part, hears) => this.run(served, part, hears));
  }

  /** A version that is loaded, as nearly every request finds it, costs no promise. */
  private run(served: ServedVersion, request: InferRequest, receiver: InferReceiver): void {
    const { loaded } = served;
    served.lastUsedAtMs = this.clock.now();
    if (loaded !== undefined && !loaded.givenUp) {
      loaded.submit(request, receiver);
      return;
    }
    this.awaited.submit(served, request, receiver);
  }

  private submitDynamic(
    served: ServedVersion,
    row: FillingRow,
    call: PredictCall,
    receiver: Receiver<RowAnswer>,
  ): void {
    const { tensors, fill } = dynamicRow(served.contract, row);
    const answered = new RowInference(served, fill, call, receiver);
    this.submit(served, call.request(tensors, 0), answered);
  }
}

/** Of a call whose rows run one by one: below what a version lets wait in any case. */
const ROWS_AT_ONCE = 8;

/** What a single row can do to a run, and with it to all others in it. */
const OF_A_ROW: ReadonlySet<ErrorCode> = new Set(['model_run_failed', 'model_crashed_on_input']);

function isOneRow(tensors: readonly Tensor[]): boolean {
  for (const tensor of tensors) if (tensor.shape[0] !== 1) return false;
  return true;
}
