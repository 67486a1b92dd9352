import type { FieldContent } from '../wire/field-content';
import type { Inspection } from '../inspection';
import type { FieldShape } from '../schema';
import type { GraphContext } from './graph-context';
import { MessageVisitor, type Place } from './message-visitor';
import { SparseTensorVisitor } from './sparse-tensor-visitor';
import { TensorVisitor, type TensorFacts } from './tensor-visitor';

const KEPT_INTEGERS = 32;

/** What a node wants to know of one of its attributes. */
export interface AttributeFacts {
  readonly name: string;
  /** The value or the first values, where the attribute is of integers. */
  readonly integers: readonly number[];
  readonly tensor: TensorFacts | undefined;
}

/** An attribute of a node, or the default that a function gives one. Graphs within graphs hang here. */
export class AttributeVisitor extends MessageVisitor {
  private name = '';
  private readonly integers: number[] = [];
  private tensor: TensorFacts | undefined;

  constructor(
    inspection: Inspection,
    place: Place,
    private readonly graph: GraphContext,
    private readonly done?: (facts: AttributeFacts) => void,
  ) {
    super(inspection, 'AttributeProto', place);
    inspection.countAttribute();
  }

  override wanted(field: string): number {
    return field === 'name' ? this.inspection.limits.nameBytes : 0;
  }

  override number(field: string, value: number): void {
    if ((field === 'i' || field === 'ints') && this.integers.length < KEPT_INTEGERS) this.integers.push(value);
  }

  override bytes(field: string, _length: number, content: FieldContent | undefined): void {
    if (field === 'name') this.name = this.text(field, content);
  }

  override open(field: FieldShape): MessageVisitor | undefined {
    if (field.message === 'TensorProto') {
      return new TensorVisitor(this.inspection, this.next(field), (facts) => (this.tensor = facts));
    }
    if (field.message === 'SparseTensorProto') return new SparseTensorVisitor(this.inspection, this.next(field));
    if (field.message === 'GraphProto') return this.subgraph(field);
    return super.open(field);
  }

  override close(): void {
    this.done?.({ name: this.name, integers: this.integers, tensor: this.tensor });
  }

  private subgraph(field: FieldShape): MessageVisitor | undefined {
    const limit = this.inspection.limits.subgraphDepth;
    const { scope, open } = this.graph;
    if (scope.depth < limit) return open(this.next(field), scope.inner());
    this.inspection.faults.add({
      pointer: this.pointer,
      expected: `graphs within graphs at most ${limit} deep`,
      received: `a deeper one as ${field.name}`,
    });
    return undefined;
  }
}
