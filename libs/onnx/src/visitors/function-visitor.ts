import type { FieldContent } from '../wire/field-content';
import type { Inspection } from '../inspection';
import { newBody, Scope, type Body } from '../model-facts';
import { operatorKey } from '../operator-key';
import { operatorLabel, plainDomain } from '../operators';
import { quote } from '../fault-list';
import type { FieldShape } from '../schema';
import { AttributeVisitor } from './attribute-visitor';
import type { GraphContext } from './graph-context';
import { graphContext } from './graph-visitor';
import { MessageVisitor, type Place } from './message-visitor';
import { NodeVisitor } from './node-visitor';

/** A function that the file defines for itself; the runtime copies its nodes to every place that calls it. */
export class FunctionVisitor extends MessageVisitor {
  private readonly body: Body;
  private readonly graph: GraphContext;
  private name = '';
  private domain = '';
  private overload = '';

  constructor(inspection: Inspection, place: Place) {
    super(inspection, 'FunctionProto', place);
    this.body = newBody(this.pointer);
    this.graph = graphContext(inspection, new Scope(this.body));
  }

  override wanted(field: string): number {
    return field === 'name' || field === 'domain' || field === 'overload' ? this.inspection.limits.nameBytes : 0;
  }

  override bytes(field: string, _length: number, content: FieldContent | undefined): void {
    if (field === 'name') this.name = this.text(field, content);
    else if (field === 'domain') this.domain = plainDomain(this.text(field, content));
    else if (field === 'overload') this.overload = this.text(field, content);
    else if (field === 'input') this.body.inputs++;
    else if (field === 'output') this.body.outputs++;
  }

  override open(field: FieldShape): MessageVisitor | undefined {
    if (field.name === 'node') return new NodeVisitor(this.inspection, this.next(field), this.graph);
    if (field.name === 'attribute_proto') return new AttributeVisitor(this.inspection, this.next(field), this.graph);
    return super.open(field);
  }

  override close(): void {
    const { inspection } = this;
    const key = operatorKey(this.domain, this.name, this.overload);
    inspection.retain(key.length);
    if (inspection.facts.functions.has(key)) {
      inspection.faults.add({
        pointer: this.pointer,
        expected: 'each function once',
        received: `${quote(operatorLabel(this.domain, this.name))} again`,
      });
    }
    inspection.facts.functions.set(key, this.body);
  }
}
