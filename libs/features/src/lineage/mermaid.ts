import type { LineageGraph, LineageNode } from './lineage-graph';

const SHAPES: Readonly<Record<LineageNode['kind'], readonly [open: string, close: string]>> = {
  field: ['[/', '/]'],
  request: ['[/', '/]'],
  operator: ['(', ')'],
  feature: ['[', ']'],
  set: ['[[', ']]'],
  model: ['{{', '}}'],
  alias: ['([', '])'],
};

/** The graph as a Mermaid flowchart. */
export function toMermaid({ nodes, edges }: Pick<LineageGraph, 'nodes' | 'edges'>): string {
  const numbers = new Map(nodes.map(({ id }, i) => [id, `n${i}`]));
  const lines = nodes.map((node) => {
    const [open, close] = SHAPES[node.kind];
    return `  ${numbers.get(node.id)}${open}"${escaped(labelOf(node))}"${close}`;
  });
  const arrows = edges.map(
    ({ from, to, as }) =>
      `  ${numbers.get(from)} -->${as === undefined ? '' : `|"${escaped(as)}"|`} ${numbers.get(to)}`,
  );
  return ['flowchart LR', ...lines, ...arrows, ''].join('\n');
}

function labelOf({ name, version }: LineageNode): string {
  return version === undefined ? name : `${name}@${version}`;
}

/** Whatever an expression says, it stays text: Mermaid takes characters by their numbers. */
function escaped(text: string): string {
  return text.replace(/[^\w .,:@()/+*=-]/gu, (character) => `#${character.codePointAt(0)};`);
}
