import type { FieldContent } from '../wire/field-content';
import type { Inspection } from '../inspection';
import { newBody, Scope } from '../model-facts';
import { quote } from '../fault-list';
import type { FieldShape } from '../schema';
import { EntryVisitor } from './entry-visitor';
import { FunctionVisitor } from './function-visitor';
import { GraphVisitor, MainGraphVisitor } from './graph-visitor';
import { MessageVisitor, pointerTo, type Place } from './message-visitor';
import { OpsetVisitor } from './opset-visitor';

/** The whole file. */
export class ModelVisitor extends MessageVisitor {
  constructor(inspection: Inspection) {
    super(inspection, 'ModelProto', { field: '' });
  }

  override wanted(): number {
    return this.inspection.limits.nameBytes;
  }

  override number(_field: string, value: number): void {
    this.inspection.facts.irVersion = value;
  }

  override bytes(field: string, _length: number, content: FieldContent | undefined): void {
    const text = content?.text() ?? '';
    if (field === 'producer_name') this.inspection.facts.producerName = text;
    else this.inspection.facts.producerVersion = text;
  }

  override open(field: FieldShape): MessageVisitor | undefined {
    const { inspection } = this;
    const place = this.next(field);
    switch (field.name) {
      case 'graph':
        return new MainGraphVisitor(inspection, place, new Scope(inspection.facts.main));
      case 'functions':
        return new FunctionVisitor(inspection, place);
      case 'opset_import':
        return new OpsetVisitor(inspection, place);
      case 'metadata_props':
        return this.metadata(place);
      default:
        return new TrainingVisitor(inspection, place);
    }
  }

  private metadata(place: Place): MessageVisitor {
    const { facts, limits } = this.inspection;
    return new EntryVisitor(this.inspection, place, {
      valueBytes: limits.metadataBytes,
      done: (key, value) => {
        if (facts.metadata.has(key)) {
          const received = `${quote(key)} again`;
          this.inspection.faults.add({
            pointer: pointerTo(place),
            expected: 'each key of the metadata once',
            received,
          });
        }
        if (value === undefined) return;
        if (facts.metadata.size >= limits.metadata) this.inspection.tooMany('metadata');
        this.inspection.retain(key.length + value.length);
        facts.metadata.set(key, value);
      },
    });
  }
}

/** How to train the model further. Serving has no use for it, but what lies in it must be as harmless as the rest. */
class TrainingVisitor extends MessageVisitor {
  constructor(inspection: Inspection, place: Place) {
    super(inspection, 'TrainingInfoProto', place);
  }

  override open(field: FieldShape): MessageVisitor | undefined {
    if (field.message !== 'GraphProto') return super.open(field);
    return new GraphVisitor(this.inspection, this.next(field), new Scope(newBody(this.pointer)));
  }
}
