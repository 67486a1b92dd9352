import type { FeatureSet } from '../definitions/feature-view';
import type { LineageGraph } from './lineage-graph';
import type { SetConsumer } from './set-consumer';
import { featureId, versionOf } from './view-lineage';

export function setId({ name, hash }: FeatureSet): string {
  return `set:${name}@${versionOf(hash)}`;
}

export function modelId({ model, version }: Pick<SetConsumer, 'model' | 'version'>): string {
  return `model:${model}@${version}`;
}

/** Adds a set and the features that it takes, as far as they are there. */
export function addSet(graph: LineageGraph, set: FeatureSet): string {
  const id = graph.add({ id: setId(set), kind: 'set', name: set.name, version: versionOf(set.hash) });
  for (const { view, viewHash, feature, name } of set.members)
    graph.linkKnown(featureId(view, viewHash, feature), id, name === feature ? undefined : name);
  return id;
}

/** Adds a version of a model and the aliases that mean it. */
export function addConsumer(graph: LineageGraph, consumer: SetConsumer): void {
  const { model, version, set, aliases } = consumer;
  const id = graph.add({ id: modelId(consumer), kind: 'model', name: model, version });
  graph.link(setId(set), id);
  for (const alias of aliases) {
    const node = graph.add({ id: `alias:${model}:${alias}`, kind: 'alias', name: `${model}:${alias}` });
    graph.link(id, node);
  }
}
