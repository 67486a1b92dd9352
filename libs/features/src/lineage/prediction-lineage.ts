import { timestamp } from '@sibyl/kernel';
import type { FeatureSet, FeatureView, SetMember } from '../definitions/feature-view';
import { readInstant } from '../log/instant';
import { setNamed, type LineageParts } from './lineage';
import { LineageGraph, type FactEvent, type LineageFacts } from './lineage-graph';
import { OpenLineage, type OpenLineageEvent } from './open-lineage';
import type { PredictionRecord, RecordedFeatures, RecordedModel, RecordedStream } from './prediction-record';
import { addSet, modelId, setId } from './set-lineage';
import { addView, featureId } from './view-lineage';

interface Definitions {
  readonly set: FeatureSet;
  readonly views: readonly FeatureView[];
}

/** What one prediction was made from: the versions that its record names, and what was true of them at its moment. */
export class PredictionLineage {
  constructor(private readonly parts: Pick<LineageParts, 'snapshot' | 'store' | 'compiler' | 'clock' | 'namespace'>) {}

  async graph(record: PredictionRecord): Promise<LineageGraph> {
    return this.graphOf(record, await this.definitions(record));
  }

  /** The jobs of what it was made from, and itself as a run. */
  async openLineage(record: PredictionRecord): Promise<readonly OpenLineageEvent[]> {
    const definitions = await this.definitions(record);
    const graph = this.graphOf(record, definitions);
    const { namespace, clock, compiler } = this.parts;
    const events = new OpenLineage(namespace, timestamp(clock.now()));
    const plans = (definitions?.views ?? []).map((view) => compiler.plan(view));
    const isShown = ({ view, outputs }: (typeof plans)[number]): boolean =>
      outputs.some(({ name }) => graph.has(featureId(view.name, view.hash, name)));
    return [
      ...plans.filter(isShown).map((plan) => events.view(plan)),
      ...(definitions ? [events.set(definitions.set)] : []),
      events.prediction(record, definitions?.set, graph),
    ];
  }

  private async definitions({ features, set }: PredictionRecord): Promise<Definitions | undefined> {
    const reference = features?.set ?? set;
    if (reference === undefined) return undefined;
    const found = await setNamed(this.parts, reference);
    const pinned = new Map(found.members.map(({ view, viewHash }) => [`${view} ${viewHash}`, { view, viewHash }]));
    const views: FeatureView[] = [];
    for (const { view, viewHash } of pinned.values()) {
      const version = await this.parts.snapshot.olderView(view, viewHash);
      if (version) views.push(version);
    }
    return { set: found, views };
  }

  private graphOf(record: PredictionRecord, definitions: Definitions | undefined): LineageGraph {
    const graph = new LineageGraph();
    const { id, occurredAt, features } = record;
    const prediction = graph.add({ id: `prediction:${id}`, kind: 'prediction', name: id, facts: { occurredAt } });
    const top = addModel(graph, record.model, prediction);
    if (definitions) {
      for (const view of definitions.views) addView(graph, this.parts.compiler.plan(view));
      graph.link(addSet(graph, definitions.set), top);
      if (features) noteFeatures(graph, definitions.set, record, features);
    }
    const known = new Set(definitions?.set.members.map(({ name }) => name));
    for (const key of Object.keys(features?.given ?? {})) known.add(key.slice(key.indexOf(':') + 1));
    const others = new Map<string, LineageFacts>(record.substituted.map((name) => [name, { source: 'default' }]));
    for (const [name, value] of Object.entries(record.given)) others.set(name, { value, source: 'request' });
    for (const [name, facts] of others) {
      if (known.has(name)) continue;
      graph.link(graph.add({ id: `request:${name}`, kind: 'request', name: `request.${name}`, facts }), top);
    }
    return graph.around([prediction]);
  }
}

/** The model and the alias that it was asked for by; answers the node that features lead to. */
function addModel(graph: LineageGraph, model: RecordedModel, prediction: string): string {
  const { name, version = '?', digest, alias } = model;
  const facts = digest === undefined ? {} : { facts: { digest } };
  const id = graph.add({ id: modelId({ model: name, version }), kind: 'model', name, version, ...facts });
  if (alias === undefined) graph.link(id, prediction);
  else {
    const node = graph.add({ id: `alias:${name}:${alias}`, kind: 'alias', name: `${name}:${alias}` });
    graph.link(id, node);
    graph.link(node, prediction);
  }
  return id;
}

function noteFeatures(graph: LineageGraph, set: FeatureSet, record: PredictionRecord, read: RecordedFeatures): void {
  const { at, knownAt } = read;
  graph.note(setId(set), { at, ...(knownAt === undefined ? {} : { knownAt }) });
  for (const node of graph.nodes) {
    if (node.kind !== 'field') continue;
    const events = read.streams.filter(({ stream }) => stream === node.stream).map((one) => eventOf(one, at));
    graph.note(node.id, { events });
  }
  const hashes = new Map(set.members.map(({ view, viewHash }) => [view, viewHash]));
  for (const [key, value] of Object.entries(read.given)) noteGiven(graph, key, hashes, value);
  for (const member of set.members) {
    const id = featureId(member.view, member.viewHash, member.feature);
    graph.note(id, factsOf(member, set, record, read));
  }
}

/** A value of the request takes the place of what the feature is made of. */
function noteGiven(graph: LineageGraph, key: string, hashes: ReadonlyMap<string, string>, value: unknown): void {
  const colon = key.indexOf(':');
  const [view, feature] = [key.slice(0, colon), key.slice(colon + 1)];
  const id = featureId(view, hashes.get(view) ?? '', feature);
  if (!graph.has(id)) return;
  graph.cutOff(id);
  const facts: LineageFacts = { value, source: 'request' };
  const kind = 'request';
  graph.link(graph.add({ id: `request:${key}`, kind, name: `request.${feature}`, facts }), id);
  graph.note(id, facts);
}

function factsOf(
  { name, view, feature }: SetMember,
  { onStale }: FeatureSet,
  { substituted }: PredictionRecord,
  { values, statuses, given }: RecordedFeatures,
): LineageFacts {
  const status = statuses[name] ?? 'PRESENT';
  const value = values[name] ?? null;
  // What a rule of the view, the set or the manifest put in place of a value that is not there.
  const isServed = status === 'PRESENT' || (status === 'STALE' && onStale === 'degrade');
  if (status === 'DEFAULTED' || (!isServed && substituted.includes(name))) return { value, status, source: 'default' };
  return { value, status, source: given[`${view}:${feature}`] === undefined ? 'computed' : 'request' };
}

function eventOf({ entity, eventId, eventTime, ingestedAt }: RecordedStream, at: string): FactEvent {
  const [then, now] = [readInstant(eventTime), readInstant(at)];
  const ageSeconds = then === undefined || now === undefined ? undefined : (now - then) / 1e6;
  return { entity, eventId, eventTime, ageSeconds, ingestedAt };
}
