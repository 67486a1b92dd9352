import type { FieldContent } from '../wire/field-content';
import type { Inspection } from '../inspection';
import type { DeclaredType, DeclaredValue } from '../model-facts';
import type { FieldShape } from '../schema';
import { MessageVisitor, type Place } from './message-visitor';
import { TypeVisitor } from './type-visitor';

/** An input or output of the model. */
export class ValueVisitor extends MessageVisitor {
  private name = '';
  private type: DeclaredType | undefined;

  constructor(
    inspection: Inspection,
    place: Place,
    private readonly done: (value: Omit<DeclaredValue, 'index'>) => void,
  ) {
    super(inspection, 'ValueInfoProto', place);
  }

  override wanted(): number {
    return this.inspection.limits.nameBytes;
  }

  override bytes(field: string, _length: number, content: FieldContent | undefined): void {
    this.name = this.text(field, content);
  }

  override open(field: FieldShape): MessageVisitor | undefined {
    if (field.name !== 'type') return super.open(field);
    return new TypeVisitor(this.inspection, this.next(field), (type) => (this.type = type));
  }

  override close(): void {
    this.done({ pointer: this.pointer, name: this.name, type: this.type });
  }
}
