/** Hot path. See docs/paths/predict.md. */
import { DATATYPES, TYPED_ARRAYS, type Datatype, type NumericTensorData, type TensorData } from './datatype';
import {
  FRAME_HEADER_BYTES,
  FrameError,
  FrameTooLargeError,
  MAX_TENSOR_RANK,
  TENSOR_HEADER_BYTES,
  aligned,
  type FrameType,
} from './runner-frame';

/** Enough for a batch of 64 rows of 30 numbers without growing. */
const FIRST_BYTES = 16 * 1024;
/** Memory kept between frames; what a larger frame needed is given back when the next one begins. */
const KEPT_BYTES = 1024 * 1024;

/**
 * Writes one frame after another into the same memory: what `end` and `message` return is valid until the next frame
 * begins. That is enough here, because each frame is answered before the next one is written.
 */
export class FrameEncoder {
  private bytes: Buffer<ArrayBuffer> = Buffer.alloc(FIRST_BYTES);
  private at = 0;
  private tensors = 0;
  /** The open tensor: where its header is, the numbers to be filled (none for BYTES), elements so far and in all. */
  private headerAt = 0;
  private numbers: NumericTensorData | undefined;
  private filled = 0;
  private expected = 0;

  constructor(private readonly maxFrameBytes: number) {}

  /** A whole frame with JSON instead of tensors. */
  message(type: FrameType, session: number, request: number, message: object = {}): Uint8Array {
    const text = JSON.stringify(message);
    const length = Buffer.byteLength(text);
    this.begin(type, session, request);
    this.reserve(aligned(length));
    this.bytes.write(text, this.at, 'utf8');
    this.at += aligned(length);
    this.tensors = length;
    return this.end();
  }

  begin(type: FrameType, session: number, request: number): void {
    if (this.bytes.length > KEPT_BYTES) this.bytes = Buffer.alloc(FIRST_BYTES);
    this.at = FRAME_HEADER_BYTES;
    this.tensors = 0;
    this.bytes[4] = type;
    this.bytes[5] = 0;
    this.bytes.writeUInt16LE(session, 6);
    this.bytes.writeUInt32LE(request, 8);
  }

  /** Begins a tensor of `shape`, with `leading` in place of its first dimension unless that is negative. */
  openTensor(index: number, datatype: Datatype, shape: readonly number[], leading = -1): void {
    const rank = shape.length;
    if (rank > MAX_TENSOR_RANK) throw new FrameError(`rank ${rank} is over ${MAX_TENSOR_RANK}`);
    this.reserve(TENSOR_HEADER_BYTES + rank * 8);
    this.headerAt = this.at;
    this.bytes[this.at] = DATATYPES.indexOf(datatype);
    this.bytes[this.at + 1] = rank;
    this.bytes.writeUInt16LE(index, this.at + 2);
    this.at += TENSOR_HEADER_BYTES;
    let count = 1;
    for (let i = 0; i < rank; i++) {
      const dimension = i === 0 && leading >= 0 ? leading : (shape[i] ?? 0);
      count *= dimension;
      this.bytes.writeDoubleLE(dimension, this.at);
      this.at += 8;
    }
    if (!Number.isSafeInteger(count) || count < 0) throw new FrameError('the shape holds no number of elements');
    this.filled = 0;
    this.expected = count;
    this.numbers = datatype === 'BYTES' ? undefined : this.reserveNumbers(datatype, count);
    this.tensors++;
  }

  /** Copies elements into the open tensor, behind those that are there: the rows of several requests in turn. */
  append(data: TensorData): void {
    if (this.filled + data.length > this.expected) throw new FrameError('more elements than the shape holds');
    if (Array.isArray(data)) this.appendStrings(data);
    else this.appendNumbers(data);
    this.filled += data.length;
  }

  closeTensor(): void {
    if (this.filled !== this.expected)
      throw new FrameError(`${this.filled} elements, the shape holds ${this.expected}`);
    const rank = this.bytes[this.headerAt + 1] ?? 0;
    const length = this.at - this.headerAt - TENSOR_HEADER_BYTES - rank * 8;
    this.bytes.writeUInt32LE(length, this.headerAt + 4);
    const padding = aligned(length) - length;
    this.reserve(padding);
    this.at += padding;
  }

  end(): Uint8Array {
    this.bytes.writeUInt32LE(this.at, 0);
    this.bytes.writeUInt32LE(this.tensors, 12);
    return this.bytes.subarray(0, this.at);
  }

  private reserveNumbers(datatype: Exclude<Datatype, 'BYTES'>, count: number): NumericTensorData {
    const TypedArray = TYPED_ARRAYS[datatype];
    this.reserve(aligned(count * TypedArray.BYTES_PER_ELEMENT));
    const numbers = new TypedArray(this.bytes.buffer, this.bytes.byteOffset + this.at, count);
    this.at += numbers.byteLength;
    return numbers;
  }

  private appendNumbers(data: NumericTensorData): void {
    const { numbers } = this;
    if (numbers === undefined || numbers.constructor !== data.constructor) {
      throw new FrameError('elements of another datatype');
    }
    // Both are of one class, as was just seen; the union of all typed arrays cannot say so.
    (numbers as Float32Array).set(data as Float32Array, this.filled);
  }

  private appendStrings(texts: readonly string[]): void {
    if (this.numbers !== undefined) throw new FrameError('elements of another datatype');
    for (const text of texts) {
      const length = Buffer.byteLength(text);
      this.reserve(4 + length);
      this.bytes.writeUInt32LE(length, this.at);
      this.bytes.write(text, this.at + 4, 'utf8');
      this.at += 4 + length;
    }
  }

  private reserve(more: number): void {
    const needed = this.at + more;
    if (needed > this.maxFrameBytes) throw new FrameTooLargeError(needed, this.maxFrameBytes);
    if (needed <= this.bytes.length) return;
    const grown = Buffer.alloc(Math.min(Math.max(needed, this.bytes.length * 2), aligned(this.maxFrameBytes)));
    this.bytes.copy(grown, 0, 0, this.at);
    this.bytes = grown;
  }
}
