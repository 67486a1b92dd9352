import { DomainError } from '@sibyl/kernel';
import { SplitRequest, type InferReceiver, type InferRequest } from '@sibyl/inference';
import { allocate, elementCount, type Tensor, type TensorData } from '@sibyl/protocol';
import type { ModelVersion } from '@sibyl/registry';

/** Runs of one request that wait or run at once: one call shall neither fill the queue nor be refused because it does. */
const RUNS_AT_ONCE = 8;

/**
 * Rows that each run of a version takes, where its file fixes them: every input begins with this dimension, and so does every
 * output whose dimensions are known. Undefined where any number will do, and where the dimension may be none of rows: of more
 * than one, some input must have a second dimension (a lone one is as likely the width of a single row), and a trial must have
 * shown that each is answered without regard to the others.
 */
export function fixedBatchOf({ signature, report }: Pick<ModelVersion, 'signature' | 'report'>): number | undefined {
  const size = signature.inputs[0]?.shape?.[0];
  if (size === undefined || size < 1 || !signature.inputs.every(({ shape }) => shape?.[0] === size)) return undefined;
  if (!signature.outputs.every(({ shape }) => shape === undefined || shape[0] === size || shape[0] === -1))
    return undefined;
  if (size === 1) return size;
  const ofRows = signature.inputs.some(({ shape }) => (shape?.length ?? 0) > 1);
  return ofRows && report?.trial?.rowsIndependent === true ? size : undefined;
}

/** Answers a request with runs of `batch` rows each; the last one is filled up with its own last row. */
export function runInFixedBatches(
  request: InferRequest,
  batch: number,
  receiver: InferReceiver,
  run: (request: InferRequest, receiver: InferReceiver) => void,
): void {
  const host = {
    enqueue: (piece: InferRequest, answer: InferReceiver): void =>
      run(new FullRun(piece, batch), {
        answered: (outputs) => answer.answered(outputs.map((output) => firstRows(output, batch, piece.rows))),
        failed: (error) => answer.failed(error),
      }),
    onEnded: (outcome: 'answered' | 'failed' | 'not rows'): void => {
      if (outcome === 'not rows') receiver.failed(notRows(batch));
    },
  };
  new SplitRequest(host, request, receiver, { pieceRows: batch, pieces: RUNS_AT_ONCE }).start();
}

/**
 * The request with as many rows as a run has; whether it was given up is the request's own to say. A class: an object literal with a
 * getter would have a hidden class of its own each time.
 */
class FullRun implements InferRequest {
  readonly inputs: readonly Tensor[];
  readonly rows = 0;
  readonly deadlineAt: number;
  readonly bulk: boolean;

  constructor(
    private readonly piece: InferRequest,
    batch: number,
  ) {
    this.inputs = piece.inputs.map((input) => (piece.rows === batch ? input : filledUp(input, batch)));
    this.deadlineAt = piece.deadlineAt;
    this.bulk = piece.bulk === true;
  }

  get aborted(): boolean {
    return this.piece.aborted;
  }
}

function filledUp({ name, datatype, shape, data }: Tensor, batch: number): Tensor {
  const full = [batch, ...shape.slice(1)];
  const width = elementCount(shape.slice(1));
  const filled = allocate(datatype, elementCount(full));
  for (let i = 0; i < filled.length; i++) put(filled, i, data[i < data.length ? i : data.length - width + (i % width)]);
  return { name, datatype, shape: full, data: filled };
}

function firstRows(output: Tensor, batch: number, rows: number): Tensor {
  const { shape, data } = output;
  if (rows === batch || shape[0] !== batch) return output;
  const kept = [rows, ...shape.slice(1)];
  return { ...output, shape: kept, data: data.slice(0, elementCount(kept)) };
}

function put(data: TensorData, index: number, value: unknown): void {
  (data as unknown[])[index] = value;
}

function notRows(batch: number): DomainError {
  const rows = batch === 1 ? '1 row' : `${batch} rows`;
  return new DomainError('batch_too_large', `The model takes ${rows} a run, and its answers do not come row for row.`, {
    faults: [{ pointer: '/inputs', expected: rows }],
  });
}
