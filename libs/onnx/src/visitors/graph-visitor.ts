import type { Inspection } from '../inspection';
import { quote } from '../fault-list';
import type { DeclaredValue, Scope } from '../model-facts';
import type { FieldShape } from '../schema';
import type { GraphContext } from './graph-context';
import { MessageVisitor, pointerTo, type Place } from './message-visitor';
import { NodeVisitor } from './node-visitor';
import { SparseTensorVisitor } from './sparse-tensor-visitor';
import { TensorVisitor, type TensorFacts } from './tensor-visitor';
import { ValueVisitor } from './value-visitor';

/** A graph within a node; `MainGraphVisitor` adds what only the model's own graph has. */
export class GraphVisitor extends MessageVisitor {
  private readonly graph: GraphContext;

  constructor(
    inspection: Inspection,
    place: Place,
    scope: Scope,
    private readonly initializers = new Set<string>(),
  ) {
    super(inspection, 'GraphProto', place);
    this.graph = graphContext(inspection, scope);
  }

  override open(field: FieldShape): MessageVisitor | undefined {
    const { inspection } = this;
    if (field.name === 'node') return new NodeVisitor(inspection, this.next(field), this.graph);
    if (field.name !== 'initializer' && field.name !== 'sparse_initializer') return super.open(field);
    const place = this.next(field);
    const done = (facts: TensorFacts): void => this.initializer(facts, place);
    return field.name === 'initializer'
      ? new TensorVisitor(inspection, place, done)
      : new SparseTensorVisitor(inspection, place, done);
  }

  // Of two weights with one name the runtime uses the last, other readers the first.
  private initializer({ name, integers }: TensorFacts, place: Place): void {
    const { inspection, initializers } = this;
    if (initializers.has(name)) {
      const received = `${quote(name)} again`;
      inspection.faults.add({ pointer: pointerTo(place), expected: 'each initializer once', received });
    }
    inspection.retain(name.length + 8 * (integers?.length ?? 0));
    initializers.add(name);
    if (integers !== undefined) this.graph.scope.define(name, integers);
  }
}

/** The graph that the model computes. */
export class MainGraphVisitor extends GraphVisitor {
  constructor(inspection: Inspection, place: Place, scope: Scope) {
    super(inspection, place, scope, inspection.facts.initializers);
    inspection.facts.hasGraph = true;
  }

  override open(field: FieldShape): MessageVisitor | undefined {
    const { facts, limits } = this.inspection;
    if (field.name === 'input') return this.value(field, facts.inputs, limits.inputs);
    if (field.name === 'output') return this.value(field, facts.outputs, limits.outputs);
    return super.open(field);
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
