import type { FieldContent } from '../wire/field-content';
import type { Inspection } from '../inspection';
import { SCHEMA, type FieldShape, type MessageName, type MessageShape } from '../schema';

/** Where a message hangs in the file: its parent, the field's name there, and which one of a list it is. */
export interface Place {
  readonly parent?: MessageVisitor;
  readonly field: string;
  readonly index?: number;
}

/**
 * Hears what a message of the file contains, field by field. As it stands it only counts and looks for damage in what
 * nobody else is interested in; subclasses listen to what matters to them.
 */
export class MessageVisitor {
  // `declare` keeps the compiler from defining these fields one by one before the constructor sets them, which took a
  // third of the whole inspection: there is a visitor for each of a file's millions of messages.
  declare readonly shape: MessageShape;
  declare protected readonly inspection: Inspection;
  declare private readonly place: Place;
  declare private counts: number[] | undefined;

  constructor(inspection: Inspection, message: MessageName, place: Place) {
    this.shape = SCHEMA[message];
    this.inspection = inspection;
    this.place = place;
    this.counts = undefined;
    inspection.countMessage();
  }

  /** RFC 6901 pointer to this message. Composed on demand: a file has millions of messages and few faults. */
  get pointer(): string {
    return pointerTo(this.place);
  }

  /** An integer, or one element of a list of integers. */
  number(_field: string, _value: number): void {}

  /** `bytes` of a field that ONNX does not define. */
  unknown(bytes: number): void {
    this.inspection.passOver(bytes, () => this.pointer);
  }

  /** `count` floating-point numbers that were passed over. */
  numbers(_field: string, _count: number): void {}

  /** One more text or byte string of a list. */
  countString(): void {
    this.inspection.countString();
  }

  /** A text or byte string; `content` is absent when it is longer than `wanted`. It is valid during this call: copy what you keep. */
  bytes(_field: string, _length: number, _content: FieldContent | undefined): void {}

  /** Up to how many bytes of a field are worth reading. */
  wanted(_field: string): number {
    return 0;
  }

  /** `open` for those who need to know where: the field begins at `_from`, what it holds lies from `_start` to `_end`. */
  openAt(field: FieldShape, _from: number, _start: number, _end: number): MessageVisitor | undefined {
    return this.open(field);
  }

  /** The visitor of a nested message; undefined passes over it. */
  open(field: FieldShape): MessageVisitor | undefined {
    return new MessageVisitor(this.inspection, field.message as MessageName, this.next(field));
  }

  close(): void {}

  /** The place of the next message in this field. */
  protected next(field: FieldShape): Place {
    if (!field.repeated) return { parent: this, field: field.name };
    const counts = (this.counts ??= []);
    const { number } = field;
    const index = counts[number] ?? 0;
    counts[number] = index + 1;
    return { parent: this, field: field.name, index };
  }

  /** A name that is worth keeping, as text; one that is too long is a fault, and one that is no text. */
  protected text(field: string, content: FieldContent | undefined): string {
    if (content !== undefined) {
      const text = content.text();
      // Names that differ only in what is no text would be one name here and two to the runtime.
      if (!content.says(text)) this.refuseText(field);
      return text;
    }
    const expected = `names of at most ${this.inspection.limits.nameBytes} bytes`;
    this.inspection.faults.add({ pointer: this.pointer, expected, received: `a longer ${field}` });
    return '';
  }

  /** Notes that a text of this message is none. */
  protected refuseText(field: string): void {
    const received = `a ${field} of bytes that are not UTF-8`;
    this.inspection.faults.add({ pointer: this.pointer, expected: 'texts in UTF-8', received });
  }
}

/** RFC 6901 pointer to what hangs in a place. */
export function pointerTo({ parent, field, index }: Place): string {
  if (parent === undefined) return '';
  return index === undefined ? `${parent.pointer}/${field}` : `${parent.pointer}/${field}/${index}`;
}
