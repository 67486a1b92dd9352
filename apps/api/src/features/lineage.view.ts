import type { LineageGraph, LineageNode } from '@sibyl/features';

export function toGraphView({ nodes, edges }: LineageGraph): Record<string, unknown> {
  return { nodes: nodes.map(toNodeView), edges };
}

function toNodeView({ facts, ...node }: LineageNode): Record<string, unknown> {
  return facts === undefined ? node : { ...node, facts: toFactsView(facts) };
}

function toFactsView({ events, knownAt, occurredAt, ...facts }: NonNullable<LineageNode['facts']>): object {
  return {
    ...facts,
    ...(events && { events: events.map(toEventView) }),
    ...(knownAt !== undefined && { known_at: knownAt }),
    ...(occurredAt !== undefined && { occurred_at: occurredAt }),
  };
}

type FactEvent = NonNullable<NonNullable<LineageNode['facts']>['events']>[number];

function toEventView({ entity, eventId, eventTime, ageSeconds, ingestedAt }: FactEvent): object {
  return { entity, event_id: eventId, event_time: eventTime, age_seconds: ageSeconds, ingested_at: ingestedAt };
}
