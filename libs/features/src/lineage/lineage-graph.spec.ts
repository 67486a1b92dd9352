import { LineageGraph, type LineageNode } from './lineage-graph';
import { toMermaid } from './mermaid';

/** a → b → c, a → d; b is c by two names. */
function graphOf(): LineageGraph {
  const graph = new LineageGraph();
  for (const id of ['a', 'b', 'c', 'd']) graph.add({ id, kind: 'feature', name: id });
  graph.link('a', 'b');
  graph.link('b', 'c', 'one');
  graph.link('b', 'c', 'two');
  graph.link('a', 'd');
  return graph;
}

const ids = ({ nodes }: LineageGraph): string[] => nodes.map(({ id }) => id);
const arrows = ({ edges }: LineageGraph): string[] =>
  edges.map(({ from, to, as }) => `${from}>${to}${as === undefined ? '' : `:${as}`}`);

describe('the graph of lineage', () => {
  it('shows what something comes from and leads to, and only on request where it comes from', () => {
    const both = graphOf().around(['b']);
    expect([ids(both), arrows(both)]).toEqual([
      ['a', 'b', 'c'],
      ['a>b', 'b>c:one', 'b>c:two'],
    ]);
    expect(ids(graphOf().around(['b'], false))).toEqual(['b', 'c']);
    expect(ids(graphOf().around(['d']))).toEqual(['a', 'd']);
    expect(ids(graphOf().around([]))).toEqual([]);
  });

  it('cuts off what something comes from, and nothing else', () => {
    const graph = graphOf();
    graph.cutOff('c');
    graph.cutOff('a');
    expect(arrows(graph)).toEqual(['a>b', 'a>d']);
    expect(ids(graph.around(['c']))).toEqual(['c']);
    graph.link('d', 'c');
    expect(ids(graph.around(['c']))).toEqual(['a', 'c', 'd']);
  });

  it('links nothing to what was left out, and notes nothing of it', () => {
    const graph = graphOf();
    graph.linkKnown('unknown', 'a');
    graph.note('unknown', { value: 1 });
    graph.note('a', { value: 1 });
    graph.note('a', { status: 'STALE' });
    expect(ids(graph)).toEqual(['a', 'b', 'c', 'd']);
    expect(graph.edges).toHaveLength(4);
    expect(graph.around(['a']).nodes[0]?.facts).toEqual({ value: 1, status: 'STALE' });
  });

  it('goes round in no circle', () => {
    const graph = graphOf();
    graph.link('c', 'a');
    expect(ids(graph.around(['d']))).toEqual(['a', 'b', 'c', 'd']);
  });
});

describe('a flowchart', () => {
  const chart = (node: Partial<LineageNode>): string =>
    toMermaid({ nodes: [{ id: 'x', kind: 'feature', name: 'n', ...node }], edges: [] });

  it('has a shape for each kind, and arrows with names', () => {
    expect(toMermaid(graphOf())).toBe(
      ['flowchart LR', ...['a', 'b', 'c', 'd'].map((id, i) => `  n${i}["${id}"]`)].join('\n') +
        '\n  n0 --> n1\n  n0 --> n3\n  n1 -->|"one"| n2\n  n1 -->|"two"| n2\n',
    );
    expect(chart({ kind: 'prediction', name: 'p' })).toContain('n0((("p")))');
  });

  it('keeps whatever a name or a value says text', () => {
    const evil = '"]; click n0 "javascript:x" <b>\n%%';
    for (const text of [chart({ name: evil }), chart({ facts: { value: evil } }), chart({ version: evil })]) {
      const [head, line, end, ...more] = text.split('\n');
      expect([head, end, more]).toEqual(['flowchart LR', '', []]);
      expect(line).toMatch(/^ {2}n0\["(?:[^"<>]|<br\/>)*"\]$/);
    }
  });

  it('tells what was true of a node, a line each', () => {
    const events = [
      { entity: 'A', eventId: 'e', eventTime: 't', ageSeconds: 2.5 },
      { entity: 'B', ingestedAt: 'u' },
    ];
    expect(chart({ facts: { value: [1, 2], status: 'STALE', source: 'computed' } })).toContain(
      '"n<br/>#91;1,2#93; STALE computed"',
    );
    expect(chart({ facts: { events } })).toContain('"n<br/>A: e of t, 2.5 s old<br/>B: no event"');
    expect(chart({ facts: { value: 'x'.repeat(1000) } }).length).toBeLessThan(120);
    expect(chart({ facts: { at: '1', knownAt: '2' } })).toContain('"n<br/>as of 1<br/>known at 2"');
    expect(chart({ facts: {} })).toContain('["n"]');
  });
});
