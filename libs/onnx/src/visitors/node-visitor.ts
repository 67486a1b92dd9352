import type { FieldContent } from '../wire/field-content';
import { decidesSizes, noteSizes } from '../checks/size-checks';
import type { Inspection } from '../inspection';
import { operatorLabel, isKnownDomain, plainDomain, checkOperator } from '../operators';
import type { FieldShape } from '../schema';
import { AttributeVisitor, type AttributeFacts } from './attribute-visitor';
import type { GraphContext } from './graph-context';
import { MessageVisitor, type Place } from './message-visitor';

/** Attributes that hold constants or sizes; the others are only checked. */
const KEPT_ATTRIBUTES = new Set(['value', 'value_int', 'value_ints', 'shape']);

/** Only the first three inputs can be sizes, and only a constant's first output can be one. */
const KEPT_INPUTS = 3;

/** One step of a graph. */
export class NodeVisitor extends MessageVisitor {
  private readonly inputs: string[] = [];
  private inputCount = 0;
  private output: string | undefined;
  private outputCount = 0;
  private type = '';
  private domain = '';
  private overload = '';
  private attributes: AttributeFacts[] | undefined;

  constructor(
    inspection: Inspection,
    place: Place,
    private readonly graph: GraphContext,
  ) {
    super(inspection, 'NodeProto', place);
    inspection.countNode();
  }

  override wanted(field: string): number {
    if (field === 'name') return 0;
    if (field === 'input' && this.inputCount >= KEPT_INPUTS) return 0;
    if (field === 'output' && this.outputCount > 0) return 0;
    return this.inspection.limits.nameBytes;
  }

  override bytes(field: string, _length: number, content: FieldContent | undefined): void {
    if (field === 'op_type') this.type = this.text(field, content);
    else if (field === 'domain') this.domain = plainDomain(this.text(field, content));
    else if (field === 'overload') this.overload = this.text(field, content);
    else if (field === 'input' && this.inputCount++ < KEPT_INPUTS) this.inputs.push(this.text(field, content));
    else if (field === 'output' && this.outputCount++ === 0) this.output = this.text(field, content);
  }

  override open(field: FieldShape): MessageVisitor | undefined {
    if (field.name !== 'attribute') return super.open(field);
    return new AttributeVisitor(this.inspection, this.next(field), this.graph, (facts) => {
      if (KEPT_ATTRIBUTES.has(facts.name)) (this.attributes ??= []).push(facts);
    });
  }

  override close(): void {
    this.register();
    const { inspection, type } = this;
    if (this.domain !== '' || !decidesSizes(type)) return;
    const { inputs, output = '', attributes = [] } = this;
    noteSizes({ type, inputs, output, attributes, scope: this.graph.scope }, inspection, this);
  }

  private register(): void {
    const { inspection } = this;
    const { scope } = this.graph;
    const { facts } = inspection;
    const label = operatorLabel(this.domain, this.type);
    const key = facts.operatorKeys.of(this.domain, this.type, this.overload);
    const before = facts.operators.get(label);
    if (before === undefined) {
      inspection.retain(label.length);
      if (facts.operators.size >= inspection.limits.operators) inspection.tooMany('operators');
    }
    facts.operators.set(label, (before ?? 0) + 1);
    scope.body.nodes++;
    this.use(key);
    if (!isKnownDomain(this.domain) && !facts.foreign.has(key))
      facts.foreign.set(key, { pointer: this.pointer, label });
    checkOperator(label, inspection, this);
  }

  private use(key: string): void {
    const { body, depth } = this.graph.scope;
    const use = body.operators.get(key) ?? { count: 0, depth: 0, inputs: 0, outputs: 0 };
    if (use.count === 0) {
      this.inspection.retain(key.length);
      body.operators.set(key, use);
    }
    use.count++;
    use.depth = Math.max(use.depth, depth);
    use.inputs = Math.max(use.inputs, this.inputCount);
    use.outputs = Math.max(use.outputs, this.outputCount);
  }
}
