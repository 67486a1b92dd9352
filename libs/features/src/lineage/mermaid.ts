import type { LineageGraph, LineageNode } from './lineage-graph';

/** Characters of a value: lists may be long. */
const VALUE_MOST = 64;

const SHAPES: Readonly<Record<LineageNode['kind'], readonly [open: string, close: string]>> = {
  field: ['[/', '/]'],
  request: ['[/', '/]'],
  operator: ['(', ')'],
  feature: ['[', ']'],
  set: ['[[', ']]'],
  model: ['{{', '}}'],
  alias: ['([', '])'],
  prediction: ['(((', ')))'],
};

/** The graph as a Mermaid flowchart. */
export function toMermaid({ nodes, edges }: Pick<LineageGraph, 'nodes' | 'edges'>): string {
  const numbers = new Map(nodes.map(({ id }, i) => [id, `n${i}`]));
  const lines = nodes.map((node) => {
    const [open, close] = SHAPES[node.kind];
    const label = [labelOf(node), ...factsOf(node)].map(escaped).join('<br/>');
    return `  ${numbers.get(node.id)}${open}"${label}"${close}`;
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

/** A line each. */
function factsOf({ facts }: LineageNode): readonly string[] {
  if (!facts) return [];
  const { value, status, source, events = [], at, knownAt, digest, occurredAt } = facts;
  const had = value === undefined ? [] : [shortened(JSON.stringify(value))];
  return [
    [...had, status, source].filter((word) => word !== undefined).join(' '),
    ...events.map(
      ({ entity, eventId, eventTime, ageSeconds }) =>
        `${entity}: ${eventId === undefined ? 'no event' : `${eventId} of ${eventTime}, ${ageSeconds} s old`}`,
    ),
    ...(at === undefined ? [] : [`as of ${at}`]),
    ...(knownAt === undefined ? [] : [`known at ${knownAt}`]),
    ...(digest === undefined ? [] : [digest]),
    ...(occurredAt === undefined ? [] : [`at ${occurredAt}`]),
  ].filter((line) => line !== '');
}

function shortened(text: string): string {
  return text.length <= VALUE_MOST ? text : `${text.slice(0, VALUE_MOST)}…`;
}

/** Whatever an expression says, it stays text: Mermaid takes characters by their numbers. */
function escaped(text: string): string {
  return text.replace(/[^\w .,:@()/+*=-]/gu, (character) => `#${character.codePointAt(0)};`);
}
