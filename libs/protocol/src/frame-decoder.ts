/** Hot path. See docs/paths/predict.md. */
import { DATATYPES, elementBytes, TYPED_ARRAYS, type Datatype, type TensorData } from './datatype';
import {
  FRAME_HEADER_BYTES,
  FRAME_TYPES,
  FrameError,
  MAX_TENSOR_RANK,
  TENSOR_HEADER_BYTES,
  aligned,
  type FrameType,
} from './runner-frame';
import { elementCount } from './tensor';

/** One received frame. `bytes` is the whole frame; whose memory that is, is up to whoever fed the decoder. */
export interface RunnerFrame {
  readonly type: FrameType;
  readonly session: number;
  readonly request: number;
  readonly count: number;
  readonly bytes: Uint8Array;
}

/** A tensor of a frame: `data` is a view of the frame's bytes (BYTES apart), `index` its place in the list of names. */
export interface FramedTensor {
  readonly index: number;
  readonly datatype: Datatype;
  readonly shape: readonly number[];
  readonly data: TensorData;
}

/** Reads frames from pieces of any size; copies only where a frame came in several pieces or out of step. */
export class FrameDecoder {
  private readonly frames: RunnerFrame[] = [];
  private readonly head = new Uint8Array(FRAME_HEADER_BYTES);
  private whole: Uint8Array | undefined;
  private filled = 0;

  constructor(private readonly maxFrameBytes: number) {}

  push(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length) {
      at = this.filled === 0 ? this.begin(chunk, at) : this.resume(chunk, at);
    }
  }

  next(): RunnerFrame | undefined {
    return this.frames.shift();
  }

  /** Bytes still missing of a frame that has begun; 0 between frames. */
  get missingBytes(): number {
    if (this.filled === 0) return 0;
    return (this.whole ?? this.head).length - this.filled;
  }

  private begin(chunk: Uint8Array, at: number): number {
    const left = chunk.length - at;
    if (left >= FRAME_HEADER_BYTES) {
      const length = this.lengthAt(chunk, at);
      if (left >= length && (chunk.byteOffset + at) % 8 === 0) {
        this.accept(chunk.subarray(at, at + length));
        return at + length;
      }
    }
    return this.resume(chunk, at);
  }

  private resume(chunk: Uint8Array, from: number): number {
    let at = from;
    if (this.whole === undefined) {
      at += this.fill(this.head, chunk, at);
      if (this.filled < FRAME_HEADER_BYTES) return at;
      this.whole = new Uint8Array(this.lengthAt(this.head, 0));
      this.whole.set(this.head);
    }
    at += this.fill(this.whole, chunk, at);
    if (this.filled < this.whole.length) return at;
    const complete = this.whole;
    this.whole = undefined;
    this.filled = 0;
    this.accept(complete);
    return at;
  }

  private fill(target: Uint8Array, chunk: Uint8Array, at: number): number {
    const taken = Math.min(target.length - this.filled, chunk.length - at);
    target.set(chunk.subarray(at, at + taken), this.filled);
    this.filled += taken;
    return taken;
  }

  private lengthAt(bytes: Uint8Array, at: number): number {
    const length = readU32(bytes, at);
    if (length < FRAME_HEADER_BYTES || length % 8 !== 0) throw new FrameError(`a frame cannot have ${length} bytes`);
    if (length > this.maxFrameBytes) throw new FrameError(`a frame of ${length} bytes is over ${this.maxFrameBytes}`);
    return length;
  }

  private accept(bytes: Uint8Array): void {
    const type = bytes[4] ?? 0;
    if (type < FRAME_TYPES.ready || type > FRAME_TYPES.placed) throw new FrameError(`unknown frame type ${type}`);
    this.frames.push({
      type: type as FrameType,
      session: (bytes[6] ?? 0) | ((bytes[7] ?? 0) << 8),
      request: readU32(bytes, 8),
      count: readU32(bytes, 12),
      bytes,
    });
  }
}

/** The JSON of a frame that carries no tensors. */
export function frameMessage(frame: RunnerFrame): unknown {
  const { bytes, count } = frame;
  if (FRAME_HEADER_BYTES + count > bytes.length) throw new FrameError('the message is longer than its frame');
  const text = Buffer.from(bytes.buffer, bytes.byteOffset + FRAME_HEADER_BYTES, count).toString('utf8');
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new FrameError('the message is not JSON', { cause: error });
  }
}

/** The tensors of a frame; every length is checked before it is believed. */
export function frameTensors(frame: RunnerFrame): FramedTensor[] {
  const { bytes, count } = frame;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const tensors: FramedTensor[] = [];
  let at = FRAME_HEADER_BYTES;
  for (let i = 0; i < count; i++) {
    const dataAt = checkedDataOffset(bytes, at);
    const length = view.getUint32(at + 4, true);
    if (dataAt + length > bytes.length) throw new FrameError('the data of a tensor is cut off');
    const datatype = DATATYPES[bytes[at] ?? DATATYPES.length];
    if (datatype === undefined) throw new FrameError('unknown datatype');
    const shape = readShape(view, at + TENSOR_HEADER_BYTES, dataAt);
    const data = readData(bytes.subarray(dataAt, dataAt + length), datatype, elementCount(shape));
    tensors.push({ index: view.getUint16(at + 2, true), datatype, shape, data });
    at = dataAt + aligned(length);
  }
  return tensors;
}

function checkedDataOffset(bytes: Uint8Array, at: number): number {
  const rank = bytes[at + 1];
  if (rank === undefined) throw new FrameError('a tensor is cut off');
  if (rank > MAX_TENSOR_RANK) throw new FrameError(`rank ${rank} is over ${MAX_TENSOR_RANK}`);
  const dataAt = at + TENSOR_HEADER_BYTES + rank * 8;
  if (dataAt > bytes.length) throw new FrameError('the shape of a tensor is cut off');
  return dataAt;
}

function readShape(view: DataView, from: number, end: number): number[] {
  const shape: number[] = [];
  for (let at = from; at < end; at += 8) {
    const dimension = view.getFloat64(at, true);
    if (!Number.isSafeInteger(dimension) || dimension < 0) throw new FrameError(`${dimension} is no dimension`);
    shape.push(dimension);
  }
  return shape;
}

function readData(bytes: Uint8Array, datatype: Datatype, count: number): TensorData {
  if (datatype === 'BYTES') return readStrings(bytes, count);
  if (count * (elementBytes(datatype) ?? Number.NaN) !== bytes.length) {
    throw new FrameError(`${bytes.length} bytes are not ${count} elements of ${datatype}`);
  }
  // What a socket or a file gives is never shared memory.
  return new TYPED_ARRAYS[datatype](bytes.buffer as ArrayBuffer, bytes.byteOffset, count);
}

function readStrings(bytes: Uint8Array, count: number): string[] {
  // Each element takes at least its length field: a count that cannot be true must not make us allocate.
  if (!(count * 4 <= bytes.length)) throw new FrameError(`${bytes.length} bytes are not ${count} strings`);
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const strings = new Array<string>(count);
  let at = 0;
  for (let i = 0; i < count; i++) {
    const from = at + 4;
    const end = from <= bytes.length ? from + readU32(bytes, at) : Number.POSITIVE_INFINITY;
    if (end > bytes.length) throw new FrameError('a string is cut off');
    strings[i] = buffer.toString('utf8', from, end);
    at = end;
  }
  if (at !== bytes.length) throw new FrameError('the strings do not fill their tensor');
  return strings;
}

function readU32(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 3] ?? 0) << 24)) >>> 0
  );
}
