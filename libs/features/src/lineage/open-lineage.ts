import type { FeatureSet, FeatureView, StreamDefinition } from '../definitions/feature-view';
import type { ViewPlan } from '../definitions/view-plan';
import { fieldsByOutput, keyColumn, timeColumn, usesOfAll, type FieldUse } from './field-lineage';
import type { LineageGraph } from './lineage-graph';
import type { PredictionRecord } from './prediction-record';
import type { SetConsumer } from './set-consumer';
import { describeStep } from './view-lineage';

export type OpenLineageEvent = Readonly<Record<string, unknown>>;
type Facets = Readonly<Record<string, object>>;

/** A move of an alias, told by those who know models. */
export interface AliasMoved {
  readonly model: string;
  readonly alias: string;
  readonly version: string;
  /** What it meant before; absent for a new alias. */
  readonly from?: string;
  readonly kind: string;
}

interface Datasets {
  readonly inputs: readonly object[];
  readonly outputs: readonly object[];
}

const SPEC = 'https://openlineage.io/spec';
/** Whoever reads the events sees what has made them. */
const PRODUCER = 'https://sibyl.invalid/features';

/** Definitions in the terms of OpenLineage: jobs that make datasets, the columns of which come from columns of others. */
export class OpenLineage {
  constructor(
    private readonly namespace: string,
    private readonly at: string,
  ) {}

  view(plan: ViewPlan): OpenLineageEvent {
    const { view, streams } = plan;
    return this.event('FEATURE_VIEW', `feature_view.${view.name}`, view.description, {
      inputs: streams.map(({ definition }) => this.stream(definition)),
      outputs: [this.dataset(`feature_view.${view.name}`, { ...this.versionFacet(view), ...this.columnsOf(plan) })],
    });
  }

  set(set: FeatureSet): OpenLineageEvent {
    const fields = set.members.map(({ name, type }) => ({ name, type }));
    const columns = set.members.map(({ name, view, feature }): [string, object] => [
      name,
      { inputFields: [this.input(`feature_view.${view}`, feature, [['DIRECT', 'IDENTITY', name]])] },
    ]);
    return this.event('FEATURE_SET', `feature_set.${set.name}`, set.description, {
      inputs: [...new Map(set.members.map(({ view, viewHash }) => [view, viewHash]))].map(([view, hash]) =>
        this.dataset(`feature_view.${view}`, this.versionFacet({ hash })),
      ),
      outputs: [
        this.dataset(`feature_set.${set.name}`, {
          ...this.versionFacet(set),
          schema: facet('1-2-0', 'SchemaDatasetFacet', { fields }),
          columnLineage: facet('1-2-0', 'ColumnLineageDatasetFacet', { fields: Object.fromEntries(columns) }),
        }),
      ],
    });
  }

  model({ model, version, set }: SetConsumer): OpenLineageEvent {
    return this.event('MODEL', `model.${model}`, undefined, {
      inputs: [this.dataset(`feature_set.${set.name}`, this.versionFacet(set))],
      outputs: [this.dataset(`prediction.${model}`, this.versionFacet({ hash: version }))],
    });
  }

  /** One prediction: a run of its model, with what its features rested on. */
  prediction(
    { id, occurredAt, model }: PredictionRecord,
    set: FeatureSet | undefined,
    graph: LineageGraph,
  ): OpenLineageEvent {
    const { name, version = '', alias, digest } = model;
    const nodes = graph.nodes.filter(({ kind, facts }) => facts !== undefined && kind !== 'prediction');
    const facets = { sibyl_prediction: runFacet({ version, alias, digest, nodes }) };
    return this.run(
      'MODEL',
      `model.${name}`,
      { id, at: occurredAt, facets },
      {
        inputs: set ? [this.dataset(`feature_set.${set.name}`, this.versionFacet(set))] : [],
        outputs: [this.dataset(`prediction.${name}`, this.versionFacet({ hash: version }))],
      },
    );
  }

  /** An alias begins to mean a version. */
  promotion({ model, alias, version, from, kind }: AliasMoved, id: string): OpenLineageEvent {
    const name = `model_alias.${model}.${alias}`;
    const facets = { sibyl_promotion: runFacet({ model, alias, version, from, kind }) };
    const of = this.versionFacet({ hash: version });
    return this.run(
      'MODEL_ALIAS',
      name,
      { id, at: this.at, facets },
      {
        inputs: [this.dataset(`prediction.${model}`, of)],
        outputs: [this.dataset(name, of)],
      },
    );
  }

  private columnsOf(plan: ViewPlan): Facets {
    const uses = fieldsByOutput(plan);
    const outputs = plan.outputs.filter(({ implicit }) => !implicit);
    const columns = outputs.map(({ name, step }): [string, object] => {
      const made = plan.steps[step];
      const known = made === undefined || made.kind === 'moment' || made.kind === 'request';
      const description = known ? name : describeStep(made);
      return [name, { inputFields: this.inputsOf(uses.get(name) ?? [], description) }];
    });
    return {
      schema: facet('1-2-0', 'SchemaDatasetFacet', {
        fields: outputs.map(({ name, type, list }) => ({ name, type: list ? `list<${type}>` : type })),
      }),
      columnLineage: facet('1-2-0', 'ColumnLineageDatasetFacet', {
        fields: Object.fromEntries(columns),
        dataset: this.inputsOf(usesOfAll(plan), plan.view.name),
      }),
    };
  }

  /** Each column once, with all that is done to it. */
  private inputsOf(uses: readonly FieldUse[], description: string): readonly object[] {
    const columns = new Map<string, FieldUse[]>();
    for (const use of uses) {
      const key = `${use.stream}.${use.field}`;
      columns.set(key, [...(columns.get(key) ?? []), use]);
    }
    return [...columns.values()].flatMap((ofColumn) => {
      const [first] = ofColumn;
      if (!first) return [];
      const how = ofColumn.map((use) => [use.indirect ? 'INDIRECT' : 'DIRECT', use.subtype, description] as const);
      return [this.input(`stream.${first.stream}`, first.field, how)];
    });
  }

  private stream(definition: StreamDefinition): object {
    const { name, fields } = definition;
    const beside = [
      { name: keyColumn(definition), type: 'string' },
      { name: timeColumn(definition), type: 'timestamp' },
    ];
    const schema = facet('1-2-0', 'SchemaDatasetFacet', {
      fields: [...beside, ...fields.map((field) => ({ name: field.name, type: field.type }))],
    });
    return this.dataset(`stream.${name}`, { schema });
  }

  private input(name: string, field: string, uses: readonly (readonly [string, string, string])[]): object {
    const transformations = uses.map(([type, subtype, description]) => ({
      ...{ type, subtype, description },
      masking: false,
    }));
    return { namespace: this.namespace, name, field, transformations };
  }

  private dataset(name: string, facets: Facets): object {
    return { namespace: this.namespace, name, facets };
  }

  private versionFacet({ hash }: Pick<FeatureView, 'hash'>): Facets {
    return { version: facet('1-0-1', 'DatasetVersionDatasetFacet', { datasetVersion: hash }) };
  }

  private event(kind: string, name: string, description: string | undefined, datasets: Datasets): OpenLineageEvent {
    const documentation =
      description === undefined ? {} : { documentation: facet('1-1-0', 'DocumentationJobFacet', { description }) };
    return {
      eventTime: this.at,
      producer: PRODUCER,
      schemaURL: `${SPEC}/2-0-2/OpenLineage.json#/$defs/JobEvent`,
      job: this.job(name, { jobType: jobType(kind, 'STREAMING'), ...documentation }),
      ...datasets,
    };
  }

  private run(
    kind: string,
    name: string,
    { id, at, facets }: { readonly id: string; readonly at: string; readonly facets: Facets },
    datasets: Datasets,
  ): OpenLineageEvent {
    return {
      eventType: 'COMPLETE',
      eventTime: at,
      producer: PRODUCER,
      schemaURL: `${SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent`,
      run: { runId: id, facets },
      job: this.job(name, { jobType: jobType(kind, 'BATCH') }),
      ...datasets,
    };
  }

  private job(name: string, facets: Facets): object {
    return { namespace: this.namespace, name, facets };
  }
}

function jobType(kind: string, processingType: 'STREAMING' | 'BATCH'): object {
  return facet('2-0-4', 'JobTypeJobFacet', { processingType, integration: 'SIBYL', jobType: kind });
}

/** A facet of our own: any members, by the schema of all facets of runs. */
function runFacet(members: object): object {
  return { _producer: PRODUCER, _schemaURL: `${SPEC}/2-0-2/OpenLineage.json#/$defs/RunFacet`, ...members };
}

function facet(version: string, name: string, members: object): object {
  return { _producer: PRODUCER, _schemaURL: `${SPEC}/facets/${version}/${name}.json#/$defs/${name}`, ...members };
}
