import type { Inspection } from '../inspection';
import type { DeclaredValue, Scope } from '../model-facts';
import type { FieldShape } from '../schema';
import type { GraphContext } from './graph-context';
import { MessageVisitor, type Place } from './message-visitor';
import { NodeVisitor } from './node-visitor';
import { SparseTensorVisitor } from './sparse-tensor-visitor';
import { TensorVisitor, type TensorFacts } from './tensor-visitor';
import { ValueVisitor } from './value-visitor';

/** A graph within a node; `MainGraphVisitor` adds what only the model's own graph has. */
export class GraphVisitor extends MessageVisitor {
  private readonly graph: GraphContext;

  constructor(inspection: Inspection, place: Place, scope: Scope) {
    super(inspection, 'GraphProto', place);
    this.graph = graphContext(inspection, scope);
  }

  override open(field: FieldShape): MessageVisitor | undefined {
    const { inspection } = this;
    if (field.name === 'node') return new NodeVisitor(inspection, this.next(field), this.graph);
    const initialize = (facts: TensorFacts): void => this.initializer(facts);
    if (field.name === 'initializer') return new TensorVisitor(inspection, this.next(field), initialize);
    if (field.name === 'sparse_initializer') return new SparseTensorVisitor(inspection, this.next(field), initialize);
    return super.open(field);
  }

  protected initializer(facts: TensorFacts): void {
    if (facts.integers === undefined) return;
    this.inspection.retain(facts.name.length + 8 * facts.integers.length);
    this.graph.scope.define(facts.name, facts.integers);
  }
}

/** The graph that the model computes. */
export class MainGraphVisitor extends GraphVisitor {
  constructor(inspection: Inspection, place: Place, scope: Scope) {
    super(inspection, place, scope);
    inspection.facts.hasGraph = true;
  }

  override open(field: FieldShape): MessageVisitor | undefined {
    const { facts, limits } = this.inspection;
    if (field.name === 'input') return this.value(field, facts.inputs, limits.inputs);
    if (field.name === 'output') return this.value(field, facts.outputs, limits.outputs);
    return super.open(field);
  }

  protected override initializer(facts: TensorFacts): void {
    super.initializer(facts);
    this.inspection.retain(facts.name.length);
    this.inspection.facts.initializers.add(facts.name);
  }

  private value(field: FieldShape, values: DeclaredValue[], limit: number): MessageVisitor {
    const index = values.length;
    if (index >= limit) this.inspection.stopAtLimit(`at most ${limit} ${field.name}s`, `more than ${limit}`);
    return new ValueVisitor(this.inspection, this.next(field), (value) => {
      this.inspection.retain(value.name.length);
      values.push({ index, ...value });
    });
  }
}

/** What nodes need to open the graphs within them: nodes come from graphs and graphs from nodes, files must not. */
export function graphContext(inspection: Inspection, scope: Scope): GraphContext {
  return { scope, open: (place, inner) => new GraphVisitor(inspection, place, inner) };
}
