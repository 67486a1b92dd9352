import { elementType } from '../element-types';
import type { Inspection } from '../inspection';
import type { DeclaredType } from '../model-facts';
import type { FieldShape } from '../schema';
import { MessageVisitor, type Place } from './message-visitor';
import { ShapeVisitor, type DeclaredShape } from './shape-visitor';

type TypeDone = (type: DeclaredType) => void;

/** A type: exactly one of tensor, sequence, map, optional and rarer ones. */
export class TypeVisitor extends MessageVisitor {
  private readonly types: DeclaredType[] = [];

  constructor(
    inspection: Inspection,
    place: Place,
    private readonly done: TypeDone,
  ) {
    super(inspection, 'TypeProto', place);
  }

  override open(field: FieldShape): MessageVisitor | undefined {
    const { inspection } = this;
    const place = this.next(field);
    const found: TypeDone = (type) => this.types.push(type);
    if (field.name === 'tensor_type') return new TensorTypeVisitor(inspection, place, found);
    if (field.name === 'sequence_type') {
      return new ContainerTypeVisitor(inspection, place, 'ElementTypeProto', (_, of) =>
        found({ kind: 'sequence', text: `seq(${of})` }),
      );
    }
    if (field.name === 'optional_type') {
      return new ContainerTypeVisitor(inspection, place, 'ElementTypeProto', (_, of) =>
        found({ kind: 'optional', text: `optional(${of})` }),
      );
    }
    if (field.name === 'map_type') {
      return new ContainerTypeVisitor(inspection, place, 'MapTypeProto', (key, of) =>
        found({ kind: 'map', text: `map(${elementName(key)},${of})` }),
      );
    }
    found({ kind: 'unknown', text: field.name === 'opaque_type' ? 'opaque' : 'sparse_tensor' });
    return super.open(field);
  }

  override close(): void {
    const [type] = this.types;
    if (type === undefined) return;
    if (this.types.length > 1) {
      this.inspection.faults.add({
        pointer: this.pointer,
        expected: 'one type for each value',
        received: this.types.map(({ text }) => text).join(' and '),
      });
    }
    this.done(type);
  }
}

class TensorTypeVisitor extends MessageVisitor {
  private element = 0;
  private declared: DeclaredShape | undefined;

  constructor(
    inspection: Inspection,
    place: Place,
    private readonly done: TypeDone,
  ) {
    super(inspection, 'TensorTypeProto', place);
  }

  override number(_field: string, value: number): void {
    this.element = value;
  }

  override open(field: FieldShape): MessageVisitor | undefined {
    return new ShapeVisitor(this.inspection, this.next(field), (shape) => (this.declared = shape));
  }

  override close(): void {
    const text = `tensor(${elementName(this.element)})`;
    this.done({ kind: 'tensor', text, element: this.element, ...this.declared });
  }
}

class ContainerTypeVisitor extends MessageVisitor {
  private key = 0;
  private of = '?';

  constructor(
    inspection: Inspection,
    place: Place,
    message: 'ElementTypeProto' | 'MapTypeProto',
    private readonly done: (key: number, of: string) => void,
  ) {
    super(inspection, message, place);
  }

  override number(_field: string, value: number): void {
    this.key = value;
  }

  override open(field: FieldShape): MessageVisitor | undefined {
    return new TypeVisitor(this.inspection, this.next(field), (type) => (this.of = type.text));
  }

  override close(): void {
    this.done(this.key, this.of);
  }
}

function elementName(number: number): string {
  return elementType(number)?.name ?? `unknown type ${number}`;
}
