import { allocate, elementCount, type Tensor, type TensorData } from '@sibyl/protocol';
import type { InferReceiver, InferRequest } from './model-runtime';

/** What runs the pieces. */
export interface SplitRequestHost {
  /** Lets a piece wait for its turn, or fails it. */
  enqueue(piece: InferRequest, receiver: InferReceiver): void;
  /** Nothing of it waits any more, or what does is dropped. */
  onEnded(outcome: 'answered' | 'failed' | 'not rows'): void;
}

export interface SplitLimits {
  readonly pieceRows: number;
  /** Pieces that wait or run at once: as many as runners can take, and one that waits. */
  readonly pieces: number;
}

/** A request whose rows take longer together than a batch may: it runs in pieces, others in between, and is answered as one. */
export class SplitRequest {
  private next = 0;
  private answeredRows = 0;
  private ended = false;
  private readonly outputs: Tensor[] = [];

  constructor(
    private readonly host: SplitRequestHost,
    private readonly request: InferRequest,
    private readonly receiver: InferReceiver,
    private readonly limits: SplitLimits,
  ) {}

  start(): void {
    for (let i = 0; i < this.limits.pieces; i++) this.more();
  }

  /** Whether nobody waits for it any more. */
  get over(): boolean {
    return this.ended || this.request.aborted;
  }

  onPiece(from: number, rows: number, outputs: readonly Tensor[]): void {
    if (this.ended) return;
    if (!outputs.every((output, i) => output.shape[0] === rows && this.continues(output, i))) {
      // Nothing of it can be put together.
      this.end('not rows');
      return;
    }
    this.put(from, outputs);
    this.answeredRows += rows;
    if (this.answeredRows < this.request.rows) {
      this.more();
      return;
    }
    this.end('answered');
    this.receiver.answered(this.outputs);
  }

  onFailed(error: Error): void {
    if (this.ended) return;
    this.end('failed');
    this.receiver.failed(error);
  }

  /** Whether rows of this output are like those of the pieces before. */
  private continues({ shape }: Tensor, i: number): boolean {
    const before = this.outputs[i]?.shape;
    return (
      before === undefined || (before.length === shape.length && before.every((n, d) => d === 0 || n === shape[d]))
    );
  }

  private more(): void {
    const from = this.next;
    const rows = Math.min(this.limits.pieceRows, this.request.rows - from);
    if (rows <= 0 || this.ended) return;
    this.next += rows;
    const piece = new Piece(this, this.request, from, rows);
    this.host.enqueue(piece, piece);
  }

  /** Outputs are views of memory that others share, so they are copied to their place at once. */
  private put(from: number, outputs: readonly Tensor[]): void {
    outputs.forEach((output, i) => {
      const { name, datatype, shape, data } = output;
      const width = elementCount(shape.slice(1));
      let whole = this.outputs[i];
      if (whole === undefined) {
        const wholeShape = [this.request.rows, ...shape.slice(1)];
        whole = { name, datatype, shape: wholeShape, data: allocate(datatype, elementCount(wholeShape)) };
        this.outputs[i] = whole;
      }
      copy(data, whole.data, from * width);
    });
  }

  private end(outcome: 'answered' | 'failed' | 'not rows'): void {
    this.ended = true;
    this.host.onEnded(outcome);
  }
}

/** Some rows of a request, as a request of their own. */
class Piece implements InferRequest, InferReceiver {
  readonly inputs: readonly Tensor[];
  readonly deadlineAt: number;
  readonly bulk: boolean;

  constructor(
    private readonly whole: SplitRequest,
    request: InferRequest,
    private readonly from: number,
    readonly rows: number,
  ) {
    this.inputs = request.inputs.map((input) => rowsOf(input, from, rows));
    this.deadlineAt = request.deadlineAt;
    this.bulk = request.bulk === true;
  }

  get aborted(): boolean {
    return this.whole.over;
  }

  answered(outputs: readonly Tensor[]): void {
    this.whole.onPiece(this.from, this.rows, outputs);
  }

  failed(error: Error): void {
    this.whole.onFailed(error);
  }
}

function rowsOf({ name, datatype, shape, data }: Tensor, from: number, rows: number): Tensor {
  const width = elementCount(shape.slice(1));
  const begin = from * width;
  const end = begin + rows * width;
  const part = Array.isArray(data) ? data.slice(begin, end) : data.subarray(begin, end);
  return { name, datatype, shape: [rows, ...shape.slice(1)], data: part };
}

function copy(from: TensorData, to: TensorData, at: number): void {
  if (Array.isArray(from)) {
    for (let i = 0; i < from.length; i++) (to as string[])[at + i] = from[i] ?? '';
  } else {
    // Both are of one datatype, so of one kind of array.
    (to as Float32Array).set(from as Float32Array, at);
  }
}
