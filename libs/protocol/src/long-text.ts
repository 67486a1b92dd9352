import type { Pace } from '@sibyl/kernel';
import { encodeNested, TEXT } from './nested';
import { elementCount, type Tensor } from './tensor';

/** JSON text that is too long to be handled in one go, as its bytes in pieces. */
export class LongText {
  readonly bytes: number;

  constructor(readonly parts: readonly Buffer[]) {
    this.bytes = parts.reduce((sum, part) => sum + part.length, 0);
  }
}

/** JSON text in UTF-8. */
export type JsonText = string | LongText;

/** Texts one after the other; a string where none of them is long. */
export function joinJson(texts: readonly JsonText[]): JsonText {
  if (texts.every((text) => typeof text === 'string')) return texts.join('');
  return new LongText(texts.flatMap((text) => (typeof text === 'string' ? [Buffer.from(text)] : text.parts)));
}

const PART_CHARACTERS = 64 * 1024;

/**
 * Text that is put together of many pieces, each joined once. What is long becomes bytes as it grows: a text of a megabyte is memory
 * that the system has to find anew each time, and copied whole at each step until it is sent.
 */
export class GrowingText {
  private pieces: string[] = [];
  private characters = 0;
  private readonly parts: Buffer[] = [];

  add(piece: string): void {
    this.pieces.push(piece);
    this.characters += piece.length;
    if (this.characters >= PART_CHARACTERS) this.cut();
  }

  end(): JsonText {
    if (this.parts.length === 0) return this.pieces.join('');
    this.cut();
    return new LongText(this.parts);
  }

  private cut(): void {
    if (this.characters === 0) return;
    this.parts.push(Buffer.from(this.pieces.join('')));
    this.pieces = [];
    this.characters = 0;
  }
}

/** Elements of which the text is written without a pause: some two milliseconds of numbers with all their digits. */
const SHORT_ELEMENTS = 8 * 1024;

/** Whether the text of tensors is to be written in slices. */
export function areLong(tensors: readonly Tensor[]): boolean {
  let elements = 0;
  for (const tensor of tensors) elements += tensor.data.length;
  return elements > SHORT_ELEMENTS;
}

const ELEMENTS_BETWEEN_LOOKS = 256;

/** What `encodeNested` writes, in slices. */
export async function encodeLong(tensor: Tensor, pace: Pace): Promise<JsonText> {
  if (!areLong([tensor])) return encodeNested(tensor);
  const { data, shape, datatype } = tensor;
  const write = TEXT[datatype];
  const strides = shape.map((_, depth) => elementCount(shape.slice(depth)));
  const rank = shape.length;
  const parts: Buffer[] = [];
  let text = '['.repeat(rank);
  for (let i = 0; i < data.length; i++) {
    if (i > 0) text += between(strides, i);
    text += write(data, i);
    if (i % ELEMENTS_BETWEEN_LOOKS !== 0) continue;
    if (text.length >= PART_CHARACTERS) {
      parts.push(Buffer.from(text));
      text = '';
    }
    if (pace.due) await pace.next();
  }
  parts.push(Buffer.from(text + ']'.repeat(rank)));
  return new LongText(parts);
}

/** What stands before element `i`: arrays end and begin where it is the first of a row. */
function between(strides: readonly number[], i: number): string {
  let rows = 0;
  while (rows + 1 < strides.length && i % (strides[strides.length - 1 - rows] as number) === 0) rows++;
  return rows === 0 ? ',' : `${']'.repeat(rows)},${'['.repeat(rows)}`;
}
