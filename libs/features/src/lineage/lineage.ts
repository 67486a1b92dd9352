import { DomainError, nearestWords, timestamp, type Clock, type FieldFault } from '@sibyl/kernel';
import type { FeatureSet, FeatureView } from '../definitions/feature-view';
import { requestFault } from '../request-fault';
import type { DefinitionCompiler, RuleUse } from '../store/definition-compiler';
import type { DefinitionSnapshot } from '../store/definition-snapshot';
import type { DefinitionStore } from '../store/definition-store';
import { LineageGraph } from './lineage-graph';
import { OpenLineage, type OpenLineageEvent } from './open-lineage';
import type { ConsumerRow, SetConsumer } from './set-consumer';
import { addConsumer, addSet, modelId, setId } from './set-lineage';
import { addView, featureId, fieldId } from './view-lineage';

/** More features than this are shown part by part. */
const FEATURES_MAX = 20_000;

/** What is asked for: everything, or what one of these comes from and leads to. */
export interface LineageQuery {
  /** `name`, or `name@` and the first digits of its hash. */
  readonly view?: string;
  readonly set?: string;
  /** `name`, or `name@version`. */
  readonly model?: string;
  readonly stream?: string;
  /** `stream.field`, or a stream: what breaks if it goes. */
  readonly impact?: string;
}

/** What breaks if a field or a stream goes, by what it is called. */
export interface Impact {
  readonly of: string;
  readonly features: readonly string[];
  readonly sets: readonly string[];
  readonly models: readonly string[];
  readonly aliases: readonly string[];
  /** Of the stream, as its view defines them: without the field it cannot be published. */
  readonly rules: readonly RuleUse[];
}

export interface LineageParts {
  readonly snapshot: DefinitionSnapshot;
  readonly store: Pick<DefinitionStore, 'find'>;
  readonly compiler: DefinitionCompiler;
  readonly clock: Clock;
  readonly namespace: string;
  /** Versions of models that can still serve and name a set. */
  readonly consumers: () => Promise<readonly ConsumerRow[]>;
}

interface Published {
  readonly views: ReadonlyMap<string, FeatureView>;
  readonly sets: ReadonlyMap<string, FeatureSet>;
  readonly consumers: readonly SetConsumer[];
}

/** Where features come from and who needs them: from what is published, and who says that he needs it. */
export class Lineage {
  constructor(private readonly parts: LineageParts) {}

  /** Throws feature_view_not_found, feature_set_not_found, model_not_found, stream_not_found, invalid_parameter. */
  async graph(query: LineageQuery): Promise<LineageGraph> {
    const asked = Object.entries(query).filter(([, value]) => value !== undefined);
    const [first, second] = asked;
    if (first && second) {
      const fault = requestFault(`/${second[0]}`, `nothing beside ${first[0]}`, second[1]);
      throw invalid(`Ask for one of ${asked.map(([name]) => name).join(', ')} at a time.`, fault);
    }
    const published = await this.published(query);
    refuseTooMany(published.views);
    const graph = this.wholeGraph(published);
    const roots = this.rootsOf(graph, query, published);
    return roots ? graph.around(roots, query.impact === undefined) : graph;
  }

  /** What breaks if a field, or a whole stream, goes. */
  async impact(of: string): Promise<Impact & { readonly graph: LineageGraph }> {
    const graph = await this.graph({ impact: of });
    const { nodes } = graph;
    const named = (kind: string): string[] =>
      nodes
        .filter((node) => node.kind === kind)
        .map(({ name, version }) => (version === undefined ? name : `${name}@${version}`));
    const [features, sets, models, aliases] = [named('feature'), named('set'), named('model'), named('alias')];
    return { of, features, sets, models, aliases, rules: this.rulesOn(of), graph };
  }

  private rulesOn(path: string): readonly RuleUse[] {
    const { snapshot, compiler } = this.parts;
    const [name = '', field] = path.split('.');
    const view = snapshot
      .views()
      .find(({ streams }) => streams.some((one) => one.name === name && one.of === undefined));
    const stream = view?.streams.find((one) => one.name === name);
    return view && stream ? compiler.rulesOn(view.name, stream, field) : [];
  }

  /** Everything that is asked for as jobs and datasets of OpenLineage. */
  async openLineage(query: LineageQuery): Promise<readonly OpenLineageEvent[]> {
    const kept = await this.graph(query);
    const { views, sets, consumers } = await this.published(query);
    const events = new OpenLineage(this.parts.namespace, timestamp(this.parts.clock.now()));
    const plans = [...views.values()].map((view) => this.parts.compiler.plan(view));
    const isShown = ({ view, outputs }: (typeof plans)[number]): boolean =>
      outputs.some(({ name }) => kept.has(featureId(view.name, view.hash, name)));
    return [
      ...plans.filter(isShown).map((plan) => events.view(plan)),
      ...[...sets.values()].filter((set) => kept.has(setId(set))).map((set) => events.set(set)),
      ...consumers.filter((consumer) => kept.has(modelId(consumer))).map((consumer) => events.model(consumer)),
    ];
  }

  /** What was published just now, for whoever follows this server. */
  async eventOf(kind: 'view' | 'set', name: string, hash: string): Promise<OpenLineageEvent> {
    const { resolved } = await this.parts.store.find(kind, `${name}@${hash.slice('sha256:'.length)}`);
    const events = new OpenLineage(this.parts.namespace, timestamp(this.parts.clock.now()));
    return 'members' in resolved ? events.set(resolved) : events.view(this.parts.compiler.plan(resolved));
  }

  /** What is current, what sets and models have pinned of what was before, and what is asked for by its hash; as far as it matters. */
  private async published(query: LineageQuery): Promise<Published> {
    const { view, set } = query;
    const { snapshot } = this.parts;
    const consumers = await this.consumers();
    const sets = [...snapshot.sets(), ...consumers.map((consumer) => consumer.set)];
    if (set !== undefined) sets.push(await this.setOf(set));
    const views = [...snapshot.views()];
    if (view !== undefined) views.push(await this.viewOf(view));
    for (const { members } of sets) {
      for (const member of members) {
        const older = await snapshot.olderView(member.view, member.viewHash);
        if (older) views.push(older);
      }
    }
    const keyOf = ({ name, hash }: FeatureSet | FeatureView): string => `${name}@${hash}`;
    const matters = relevance(query, consumers);
    return {
      views: new Map(views.filter((one) => matters(one, sets)).map((one) => [keyOf(one), one])),
      sets: new Map(sets.map((one) => [keyOf(one), one])),
      consumers,
    };
  }

  private async consumers(): Promise<readonly SetConsumer[]> {
    const rows = await this.parts.consumers();
    const found = await Promise.all(
      rows.map(async (row): Promise<SetConsumer[]> => {
        const set = await this.setOf(row.set).catch((error: unknown) => {
          // A set whose name was deleted under a model that serves no more.
          if (error instanceof DomainError && error.code === 'feature_set_not_found') return undefined;
          throw error;
        });
        return set ? [{ ...row, set }] : [];
      }),
    );
    return found.flat();
  }

  private setOf(reference: string): Promise<FeatureSet> {
    return setNamed(this.parts, reference);
  }

  private async viewOf(reference: string): Promise<FeatureView> {
    const known = this.parts.snapshot.view(reference);
    if (known) return known;
    const { resolved } = await this.parts.store.find('view', reference);
    return resolved as FeatureView;
  }

  private wholeGraph({ views, sets, consumers }: Published): LineageGraph {
    const graph = new LineageGraph();
    for (const view of views.values()) addView(graph, this.parts.compiler.plan(view));
    for (const set of sets.values()) addSet(graph, set);
    for (const consumer of consumers) addConsumer(graph, consumer);
    return graph;
  }

  private rootsOf(graph: LineageGraph, query: LineageQuery, published: Published): readonly string[] | undefined {
    const { view, set, model, stream, impact } = query;
    if (view !== undefined) return this.featuresOf(view, published);
    if (set !== undefined) return this.setsOf(set, published);
    if (model !== undefined) return modelsOf(model, published.consumers);
    if (stream !== undefined) return this.fieldsOf(graph, stream);
    return impact === undefined ? undefined : this.fieldsOf(graph, impact);
  }

  private featuresOf(reference: string, { views }: Published): readonly string[] {
    const [name, hash = this.parts.snapshot.view(reference)?.hash ?? ''] = partsOf(reference);
    const asked = [...views.values()].filter((view) => view.name === name && view.hash.startsWith(hash));
    return asked.flatMap((view) =>
      this.parts.compiler.summary(view).outputs.map((output) => featureId(view.name, view.hash, output.name)),
    );
  }

  private setsOf(reference: string, { sets }: Published): readonly string[] {
    const [name, hash = this.parts.snapshot.set(reference)?.hash ?? ''] = partsOf(reference);
    const asked = [...sets.values()].filter((set) => set.name === name && set.hash.startsWith(hash));
    return asked.map(setId);
  }

  /** `candles_1m.close`, or all of `candles_1m`. What is published but read by no feature has no node, and nothing breaks without it. */
  private fieldsOf(graph: LineageGraph, path: string): readonly string[] {
    const [name = '', field, ...more] = path.split('.');
    const { snapshot } = this.parts;
    const stream = snapshot.stream(name);
    if (!stream) {
      const near = nearestWords(name, [...snapshot.streamNames()])[0];
      const hint = near === undefined ? '' : ` Did you mean '${near}'?`;
      throw new DomainError('stream_not_found', `There is no stream '${name.slice(0, 64)}'.${hint}`);
    }
    if (field === undefined) return graph.nodes.filter((node) => node.stream === name).map(({ id }) => id);
    const { fields } = stream.definition;
    const id = fieldId(name, field);
    if (more.length === 0 && (graph.has(id) || fields.some((one) => one.name === field)))
      return graph.has(id) ? [id] : [];
    const known = fields.map((one) => one.name).join(', ');
    const detail = `The stream '${name}' has no field '${path.slice(name.length + 1, 128)}': it has ${known}.`;
    throw invalid(detail, requestFault('/impact', `a field of '${name}'`, path));
  }
}

/** The set that a name, or a name and the first digits of a hash, means. Throws feature_set_not_found. */
export async function setNamed(
  { snapshot, store }: Pick<LineageParts, 'snapshot' | 'store'>,
  reference: string,
): Promise<FeatureSet> {
  const known = snapshot.set(reference);
  if (known) return known;
  const { resolved } = await store.find('set', reference);
  return resolved as FeatureSet;
}

/** Which views can have a part in what is asked for; the rest is not even looked at. */
function relevance(
  { view, set, model, stream, impact }: LineageQuery,
  consumers: readonly SetConsumer[],
): (one: FeatureView, sets: readonly FeatureSet[]) => boolean {
  if (view !== undefined) return ({ name }) => name === nameIn(view);
  const source = (stream ?? impact)?.split('.')[0];
  if (source !== undefined) return ({ streams }) => streams.some(({ name }) => name === source);
  const needs = ({ members }: FeatureSet, { name, hash }: FeatureView): boolean =>
    members.some((member) => member.view === name && member.viewHash === hash);
  if (set !== undefined) return (one, sets) => sets.some((other) => other.name === nameIn(set) && needs(other, one));
  if (model === undefined) return () => true;
  return (one) => consumers.some((other) => other.model === nameIn(model) && needs(other.set, one));
}

/** The name, and the beginning of a hash as definitions have it. */
function partsOf(reference: string): readonly [name: string, hash?: string] {
  const [name = '', hash] = reference.split('@');
  return hash === undefined ? [name] : [name, `sha256:${hash.replace('sha256:', '')}`];
}

function nameIn(reference: string): string {
  return reference.split('@')[0] ?? '';
}

function modelsOf(reference: string, consumers: readonly SetConsumer[]): readonly string[] {
  const [name, version] = reference.split('@');
  const asked = consumers.filter((one) => one.model === name && (version === undefined || one.version === version));
  if (asked.length > 0) return asked.map(modelId);
  throw new DomainError('model_not_found', `No version of the model '${reference.slice(0, 128)}' names a feature set.`);
}

function refuseTooMany(views: ReadonlyMap<string, FeatureView>): void {
  let features = 0;
  for (const view of views.values()) features += view.features.length;
  if (features > FEATURES_MAX)
    throw invalid(`${features} features are published, of which ${FEATURES_MAX} can be shown at once.`);
}

function invalid(detail: string, ...faults: readonly FieldFault[]): DomainError {
  return new DomainError('invalid_parameter', detail, { faults });
}
