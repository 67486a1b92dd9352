import type { FieldContent } from './field-content';

/** The part of a file that is in memory now; a whole buffer is the window that never has to move. */
export class ByteWindow {
  private content: Buffer = Buffer.alloc(0);
  private first = 0;

  constructor(readonly size: number) {}

  static over(bytes: Uint8Array): ByteWindow {
    const window = new ByteWindow(bytes.length);
    window.move(0, bytes);
    return window;
  }

  /** Where in the file the bytes in memory begin. */
  get start(): number {
    return this.first;
  }

  get bytes(): Uint8Array {
    return this.content;
  }

  move(start: number, bytes: Uint8Array): void {
    this.first = start;
    this.content = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  /** Whether `length` bytes from `position` are here, or as many as the file still has. */
  covers(position: number, length: number): boolean {
    return position >= this.first && Math.min(position + length, this.size) <= this.first + this.content.length;
  }

  /** Points `target` at bytes that are here. */
  show(position: number, length: number, target: FieldContent): FieldContent {
    return target.at(this.content, position - this.first, length);
  }
}
