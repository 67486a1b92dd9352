import type { OnnxModel } from '../onnx-model';

/** A class as the model itself calls it; an integer beyond 2^53 as its digits. */
export type ClassKey = string | number;

/** One thing that was changed in a file, and why. */
export interface OnnxChange {
  readonly kind: 'zipmap_dropped' | 'locale_replaced';
  /** RFC 6901 pointer into the original file. */
  readonly pointer: string;
  readonly reason: string;
  /** Of a ZipMap: the output that is a tensor now, and what its columns stand for. */
  readonly output?: string;
  readonly classes?: readonly ClassKey[];
}

/** A stretch of the original file. */
export interface Stretch {
  readonly from: number;
  readonly end: number;
}

/** What has to change in a file before it can be served. */
export interface OnnxRewrite {
  readonly changes: readonly OnnxChange[];
  /** What the new file says of itself. */
  readonly model: OnnxModel;
  /** The new file in its order: bytes of its own, and stretches of the original. */
  readonly parts: readonly (Buffer | Stretch)[];
}

/** Bytes that stand in the place of a stretch. */
export interface Edit extends Stretch {
  readonly bytes: Buffer;
}

/** The parts of a file of `size` bytes with edits that do not overlap. */
export function partsOf(size: number, edits: readonly Edit[]): (Buffer | Stretch)[] {
  const parts: (Buffer | Stretch)[] = [];
  let at = 0;
  for (const { from, end, bytes } of [...edits].sort((a, b) => a.from - b.from)) {
    if (from > at) parts.push({ from: at, end: from });
    parts.push(bytes);
    at = end;
  }
  if (at < size) parts.push({ from: at, end: size });
  return parts;
}
