import type { Inspection } from '../inspection';
import type { DeclaredType } from '../model-facts';
import type { FieldShape } from '../schema';
import { plainDomain } from '../operators';
import { MessageVisitor, type Place } from '../visitors/message-visitor';
import { OpsetVisitor } from '../visitors/opset-visitor';
import { ValueVisitor } from '../visitors/value-visitor';
import type { FieldContent } from '../wire/field-content';

/** Where a field lies in the file: from its tag on, and what it holds. */
export interface Span {
  readonly from: number;
  readonly start: number;
  readonly end: number;
}

export interface NodeSpan extends Span {
  /** Its place in the graph. */
  readonly index: number;
  readonly domain: string;
  readonly type: string;
}

export interface OutputSpan extends Span {
  readonly name: string;
}

/** The places of a file that a rewrite may touch. */
export interface ModelSpans {
  graph: Span | undefined;
  /** Nodes of the main graph whose operator was asked for. */
  readonly nodes: NodeSpan[];
  readonly outputs: OutputSpan[];
  /** Types that the file declares of values within the graph. */
  readonly types: Map<string, DeclaredType>;
}

/** Finds these places: weights, subgraphs and functions are passed over. */
export class SpanVisitor extends MessageVisitor {
  readonly spans: ModelSpans = { graph: undefined, nodes: [], outputs: [], types: new Map() };

  constructor(
    inspection: Inspection,
    private readonly operators: ReadonlySet<string>,
  ) {
    super(inspection, 'ModelProto', { field: '' });
  }

  override openAt(field: FieldShape, from: number, start: number, end: number): MessageVisitor | undefined {
    if (field.name === 'opset_import') return new OpsetVisitor(this.inspection, this.next(field));
    if (field.name !== 'graph') return undefined;
    this.spans.graph = { from, start, end };
    return new GraphSpanVisitor(this.inspection, this.spans, this.operators);
  }
}

class GraphSpanVisitor extends MessageVisitor {
  constructor(
    inspection: Inspection,
    private readonly spans: ModelSpans,
    private readonly operators: ReadonlySet<string>,
  ) {
    super(inspection, 'GraphProto', { field: 'graph' });
  }

  override openAt(field: FieldShape, from: number, start: number, end: number): MessageVisitor | undefined {
    const { inspection, spans } = this;
    const place = this.next(field);
    if (field.name === 'node') {
      return new NodeSpanVisitor(inspection, place, (domain, type) => {
        if (this.operators.has(`${domain}:${type}`))
          spans.nodes.push({ from, start, end, index: place.index ?? 0, domain, type });
      });
    }
    if (field.name === 'output')
      return new ValueVisitor(inspection, place, ({ name }) => spans.outputs.push({ from, start, end, name }));
    if (field.name !== 'value_info') return undefined;
    return new ValueVisitor(inspection, place, ({ name, type }) => {
      inspection.retain(name.length);
      if (type) spans.types.set(name, type);
    });
  }
}

class NodeSpanVisitor extends MessageVisitor {
  private type = '';
  private domain = '';

  constructor(
    inspection: Inspection,
    place: Place,
    private readonly done: (domain: string, type: string) => void,
  ) {
    super(inspection, 'NodeProto', place);
  }

  override wanted(field: string): number {
    return field === 'op_type' || field === 'domain' ? this.inspection.limits.nameBytes : 0;
  }

  override bytes(field: string, _length: number, content: FieldContent | undefined): void {
    if (field === 'op_type') this.type = content?.text() ?? '';
    else if (field === 'domain') this.domain = plainDomain(content?.text() ?? '');
  }

  override open(): MessageVisitor | undefined {
    return undefined;
  }

  override close(): void {
    this.done(this.domain, this.type);
  }
}
