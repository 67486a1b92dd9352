import type { FieldShape, MessageShape } from '../schema';
import type { ByteWindow } from './byte-window';
import { FieldContent } from './field-content';
import { Malformed } from './malformed';
import type { MessageVisitor } from '../visitors/message-visitor';
import { VARINT_BYTES, VarintCursor } from './varints';

const VARINT = 0;
const FIXED64 = 1;
const DELIMITED = 2;
const FIXED32 = 5;

/** Tag and length, or tag and number: what the start of a field takes at most. */
const LOOKAHEAD = 2 * VARINT_BYTES;

/** Protobuf's own readers stop at this depth of messages, so no usable file is deeper. */
const MAX_NESTING = 100;

const WIRE_TYPES = {
  int: VARINT,
  float: FIXED32,
  double: FIXED64,
  text: DELIMITED,
  bytes: DELIMITED,
  message: DELIMITED,
  ignored: DELIMITED,
};

interface Frame {
  readonly visitor: MessageVisitor;
  /** Of the visitor: looked at for each field, where a frame has one layout and visitors have many. */
  readonly shape: MessageShape;
  readonly end: number;
  /** Set while a packed list of varints is being read. */
  readonly packed: FieldShape | undefined;
  /** One bit per field number: what may appear once must not appear twice, or readers would differ in what they see. */
  seen: number;
}

/**
 * Walks a protobuf file and tells visitors what it meets. One pass, no recursion, and it can stop between any two
 * fields, so that a file of gigabytes is read through a small window without holding up the event loop.
 */
export class Walk {
  private readonly cursor: VarintCursor;
  private readonly content = new FieldContent();
  private readonly frames: Frame[] = [];
  /** The last of them. */
  private frame: Frame | undefined;

  constructor(
    private readonly window: ByteWindow,
    root: MessageVisitor,
  ) {
    this.cursor = new VarintCursor(window);
    this.enter(root, window.size);
  }

  get position(): number {
    return this.cursor.position;
  }

  /** The message that is being read, to say where something went wrong. */
  get visitor(): MessageVisitor | undefined {
    return this.frame?.visitor;
  }

  /** Goes on until bytes are missing, and says how many from `position` on it needs; 0 means the walk is over. */
  advance(): number {
    for (;;) {
      const { frame } = this;
      if (frame === undefined) return 0;
      if (this.position >= frame.end) {
        this.leave(frame);
        continue;
      }
      if (!this.window.covers(this.position, LOOKAHEAD)) return LOOKAHEAD;
      const missing = frame.packed === undefined ? this.field(frame) : this.packedNumber(frame, frame.packed);
      if (missing > 0) return missing;
    }
  }

  private enter(visitor: MessageVisitor, end: number, packed?: FieldShape): void {
    if (this.frames.length >= MAX_NESTING) {
      throw new Malformed(this.position, `messages are nested deeper than ${MAX_NESTING}`);
    }
    this.frame = { visitor, shape: visitor.shape, end, packed, seen: 0 };
    this.frames.push(this.frame);
  }

  private leave(frame: Frame): void {
    if (frame.packed === undefined) frame.visitor.close();
    this.frames.pop();
    this.frame = this.frames.at(-1);
  }

  private field(frame: Frame): number {
    const from = this.position;
    const tag = this.cursor.read(frame.end);
    const wire = tag % 8;
    const number = (tag - wire) / 8;
    if (tag < 8 || tag >= 2 ** 32) throw new Malformed(from, 'a field has an impossible number');
    const shape = frame.shape[number];
    if (shape === undefined || shape.kind === 'ignored') {
      this.skip(wire, frame.end);
      if (shape === undefined) frame.visitor.unknown(this.position - from);
      return 0;
    }
    const missing = this.known(frame, shape, wire, from);
    // The whole field is read again once its bytes are there.
    if (missing > 0) this.cursor.position = from;
    else this.markSeen(frame, shape, number, from);
    return missing;
  }

  private known(frame: Frame, shape: FieldShape, wire: number, from: number): number {
    if (wire === DELIMITED && (shape.kind === 'message' || shape.kind === 'text' || shape.kind === 'bytes')) {
      return this.delimited(frame, shape, from);
    }
    if (wire === DELIMITED && shape.repeated) {
      this.packedList(frame, shape);
      return 0;
    }
    if (wire !== WIRE_TYPES[shape.kind]) {
      throw new Malformed(this.position, `the field ${shape.name} is laid out as another kind of field`);
    }
    if (wire === VARINT) {
      frame.visitor.number(shape.name, this.cursor.read(frame.end));
    } else {
      this.skip(wire, frame.end);
      frame.visitor.numbers(shape.name, 1);
    }
    return 0;
  }

  private delimited(frame: Frame, shape: FieldShape, from: number): number {
    const length = this.length(frame.end);
    const content = this.position;
    if (shape.kind === 'message') {
      const child = frame.visitor.openAt(shape, from, content, content + length);
      if (child === undefined) this.cursor.position = content + length;
      else this.enter(child, content + length);
      return 0;
    }
    const wanted = length <= frame.visitor.wanted(shape.name);
    if (wanted && !this.window.covers(content, length)) return LOOKAHEAD + length;
    this.cursor.position = content + length;
    if (shape.repeated) frame.visitor.countString();
    frame.visitor.bytes(shape.name, length, wanted ? this.window.show(content, length, this.content) : undefined);
    return 0;
  }

  private packedList(frame: Frame, shape: FieldShape): void {
    const length = this.length(frame.end);
    const end = this.position + length;
    if (shape.kind === 'int') {
      this.enter(frame.visitor, end, shape);
      return;
    }
    const width = shape.kind === 'float' ? 4 : 8;
    if (length % width !== 0) throw new Malformed(this.position, `the list ${shape.name} ends within a number`);
    this.cursor.position = end;
    frame.visitor.numbers(shape.name, length / width);
  }

  private packedNumber(frame: Frame, shape: FieldShape): number {
    frame.visitor.number(shape.name, this.cursor.read(frame.end));
    return 0;
  }

  private length(end: number): number {
    const at = this.position;
    const length = this.cursor.read(end);
    const left = end - this.position;
    if (length < 0 || length > left) {
      throw new Malformed(
        at,
        `a field of ${describeLength(length)} bytes does not fit in the ${left} bytes that are left`,
      );
    }
    return length;
  }

  private skip(wire: number, end: number): void {
    const at = this.position;
    if (wire === VARINT) this.cursor.read(end);
    else if (wire === DELIMITED) this.cursor.position = this.length(end) + this.position;
    else if (wire === FIXED64) this.cursor.position += 8;
    else if (wire === FIXED32) this.cursor.position += 4;
    else throw new Malformed(at, `there is no field type ${wire} in an ONNX file`);
    if (this.position > end) throw new Malformed(at, 'a number is cut off');
  }

  private markSeen(frame: Frame, shape: FieldShape, number: number, from: number): void {
    if (shape.repeated) return;
    const bit = 1 << number;
    if ((frame.seen & bit) !== 0) throw new Malformed(from, `the field ${shape.name} appears twice`);
    frame.seen |= bit;
  }
}

function describeLength(length: number): string {
  return length < 0 ? `${length + 2 ** 64}` : `${length}`;
}
