import type { FieldContent } from '../wire/field-content';
import type { Inspection } from '../inspection';
import type { FieldShape } from '../schema';
import { MessageVisitor, type Place } from './message-visitor';

export interface DeclaredShape {
  readonly shape: readonly number[];
  readonly dimensionNames: readonly string[];
}

/** The shape that a model declares of an input or output. */
export class ShapeVisitor extends MessageVisitor {
  private readonly sizes: number[] = [];
  private readonly names: string[] = [];

  constructor(
    inspection: Inspection,
    place: Place,
    private readonly done: (shape: DeclaredShape) => void,
  ) {
    super(inspection, 'TensorShapeProto', place);
  }

  override open(field: FieldShape): MessageVisitor | undefined {
    return new DimensionVisitor(this.inspection, this.next(field), (size, name) => this.add(size, name));
  }

  override close(): void {
    this.done({ shape: this.sizes, dimensionNames: this.names });
  }

  private add(size: number, name: string): void {
    // One more than allowed is enough to refuse the value later.
    if (this.sizes.length > this.inspection.limits.rank) return;
    this.inspection.retain(name.length);
    this.sizes.push(size);
    this.names.push(name);
  }
}

class DimensionVisitor extends MessageVisitor {
  private size = -1;
  private name = '';

  constructor(
    inspection: Inspection,
    place: Place,
    private readonly done: (size: number, name: string) => void,
  ) {
    super(inspection, 'Dimension', place);
  }

  override wanted(): number {
    return this.inspection.limits.nameBytes;
  }

  override number(_field: string, value: number): void {
    // Some exporters write any negative number for "any size".
    this.size = Math.max(value, -1);
  }

  override bytes(field: string, _length: number, content: FieldContent | undefined): void {
    this.name = this.text(field, content);
  }

  override close(): void {
    this.done(this.size, this.name);
  }
}
