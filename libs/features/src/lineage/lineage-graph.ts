import type { ValueStatus } from '../feature-value';

/** From where data comes to what depends on it. */
export const LINEAGE_KINDS = [
  'field',
  'request',
  'operator',
  'feature',
  'set',
  'model',
  'alias',
  'prediction',
] as const;
type LineageKind = (typeof LINEAGE_KINDS)[number];

/** Where the model had a value from. */
export const FACT_SOURCES = ['computed', 'request', 'default'] as const;

/** What was true of a node when one prediction was made. */
export interface LineageFacts {
  /** Of a feature, and of what a request gives. */
  readonly value?: unknown;
  readonly status?: ValueStatus;
  readonly source?: (typeof FACT_SOURCES)[number];
  /** Of a field: the newest event that counted, of each entity that was read. */
  readonly events?: readonly FactEvent[];
  /** Of a set: the moment that was asked about, and what was known of it where that was said. */
  readonly at?: string;
  readonly knownAt?: string;
  /** Of a model: what its package is known by. */
  readonly digest?: string;
  /** Of a prediction. */
  readonly occurredAt?: string;
}

export interface FactEvent {
  readonly entity: string;
  /** Absent where no event counted. */
  readonly eventId?: string | undefined;
  readonly eventTime?: string | undefined;
  readonly ageSeconds?: number | undefined;
  /** The latest arrival of all that was known. */
  readonly ingestedAt?: string | undefined;
}

export interface LineageNode {
  /** Unique, and the same as long as what it names does not change: `feature:btc_technical@9f3c12ab34de:rsi`. */
  readonly id: string;
  readonly kind: LineageKind;
  /** What it is called: `candles_1m.close`, `rsi(close) period=14`, `btc_technical:rsi`, `momentum`. */
  readonly name: string;
  /** Of a feature and a set the first digits of its hash, of a model its version. */
  readonly version?: string;
  /** Of a field: the stream that it belongs to. */
  readonly stream?: string;
  readonly facts?: LineageFacts;
}

export interface LineageEdge {
  readonly from: string;
  readonly to: string;
  /** What the one is called by the other, where that is not its name: the name of a member in its set. */
  readonly as?: string;
}

/** What is made of what. Edges lead from the data to those who need it. */
export class LineageGraph {
  private readonly nodesById = new Map<string, LineageNode>();
  private readonly out = new Map<string, Map<string, LineageEdge>>();
  private readonly into = new Map<string, Map<string, LineageEdge>>();

  get nodes(): readonly LineageNode[] {
    return [...this.nodesById.values()];
  }

  get edges(): readonly LineageEdge[] {
    return [...this.out.values()].flatMap((edges) => [...edges.values()]);
  }

  has(id: string): boolean {
    return this.nodesById.has(id);
  }

  add(node: LineageNode): string {
    if (!this.nodesById.has(node.id)) this.nodesById.set(node.id, node);
    return node.id;
  }

  /** Says of a node what was true of it; what is not there is left alone. */
  note(id: string, facts: LineageFacts): void {
    const node = this.nodesById.get(id);
    if (node) this.nodesById.set(id, { ...node, facts: { ...node.facts, ...facts } });
  }

  /** Nothing leads to this node any more. */
  cutOff(id: string): void {
    for (const { from, as } of this.into.get(id)?.values() ?? []) this.out.get(from)?.delete(`${id}\n${as ?? ''}`);
    this.into.delete(id);
  }

  link(from: string, to: string, as?: string): void {
    const edge = { from, to, ...(as === undefined ? {} : { as }) };
    // The same feature may be two members of one set.
    const key = `${to}\n${as ?? ''}`;
    edgesOf(this.out, from).set(key, edge);
    edgesOf(this.into, to).set(`${from}\n${as ?? ''}`, edge);
  }

  /** A link from what may have been left out. */
  linkKnown(from: string, to: string, as?: string): void {
    if (this.has(from)) this.link(from, to, as);
  }

  /** These nodes, all that they are made of where `up`, and all that needs them. */
  around(ids: readonly string[], up = true): LineageGraph {
    const kept = new Set<string>();
    walk(ids, kept, (id) => [...(this.out.get(id)?.values() ?? [])].map(({ to }) => to));
    if (up) {
      const above = new Set<string>();
      walk(ids, above, (id) => [...(this.into.get(id)?.values() ?? [])].map(({ from }) => from));
      for (const id of above) kept.add(id);
    }
    const part = new LineageGraph();
    for (const node of this.nodes) if (kept.has(node.id)) part.add(node);
    for (const { from, to, as } of this.edges) if (kept.has(from) && kept.has(to)) part.link(from, to, as);
    return part;
  }
}

function edgesOf(map: Map<string, Map<string, LineageEdge>>, id: string): Map<string, LineageEdge> {
  let edges = map.get(id);
  if (!edges) map.set(id, (edges = new Map<string, LineageEdge>()));
  return edges;
}

function walk(begin: readonly string[], seen: Set<string>, next: (id: string) => readonly string[]): void {
  const waiting = [...begin];
  for (let id = waiting.pop(); id !== undefined; id = waiting.pop()) {
    if (seen.has(id)) continue;
    seen.add(id);
    waiting.push(...next(id));
  }
}
