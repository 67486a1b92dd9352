import { toMermaid, type Lineage, type LineageQuery } from '@sibyl/features';

type Format = 'json' | 'mermaid' | 'openlineage';

/** What was asked for, in the format that was asked for: text of Mermaid, or an object. */
export async function answerLineage(
  lineage: Lineage,
  query: LineageQuery,
  format: Format,
): Promise<Record<string, unknown> | string> {
  if (format === 'openlineage') return { events: await lineage.openLineage(query) };
  const { impact: of } = query;
  if (format === 'mermaid' || of === undefined) {
    const graph = await lineage.graph(query);
    return format === 'mermaid' ? toMermaid(graph) : { nodes: graph.nodes, edges: graph.edges };
  }
  const { graph, ...impact } = await lineage.impact(of);
  return { nodes: graph.nodes, edges: graph.edges, impact };
}
