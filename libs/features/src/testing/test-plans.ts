import type {
  FeatureDefinition,
  FeatureView,
  OperatorFeature,
  OperatorParams,
  StreamDefinition,
  StreamIdentity,
  Window,
} from '../definitions/feature-view';
import type { PlanOutput, PlanStep, StreamPlan, ViewPlan } from '../definitions/view-plan';
import { CelEngine } from '../expressions/cel-engine';
import type { FeatureValue, ValueType } from '../feature-value';
import { OPERATORS } from '../operators/catalogue';
import type { RuleSet } from '../rules/rule-set';
import type { Micros } from '../time';

const MINUTE = 60_000_000;
const DAY = 86_400_000_000;
const engine = new CelEngine();

export function streamOf(
  name: string,
  identity: StreamIdentity,
  fields: Readonly<Record<string, ValueType>>,
  more: Partial<StreamDefinition> = {},
): StreamDefinition {
  return {
    name,
    identity,
    fields: Object.entries(fields).map(([field, type]) => ({ name: field, type, nullable: true })),
    allowedLateness: 10 * MINUTE,
    retention: 365 * DAY,
    rules: [],
    table: false,
    ...more,
  };
}

interface TestFeatureBase {
  readonly name: string;
  readonly ttl?: Micros;
  readonly default?: FeatureValue;
  readonly onNonFinite?: 'null' | 'default';
  readonly rules?: RuleSet;
}

export type TestFeature = TestFeatureBase &
  (
    | {
        readonly op: string;
        readonly stream: string;
        readonly inputs?: readonly string[];
        readonly window?: Window;
        readonly tile?: Micros;
        readonly where?: string;
        readonly params?: OperatorParams;
      }
    | { readonly expression: string; readonly of: readonly string[] }
    | { readonly request: ValueType }
    | { readonly table: string; readonly field: string; readonly key?: string }
  );

/** A plan by hand, so that the engine is tested without the compiler of definitions. Features in the order of their need. */
export function planOf(
  streams: readonly StreamDefinition[],
  features: readonly TestFeature[],
  name = 'view',
): ViewPlan {
  const steps: PlanStep[] = [];
  const outputs: PlanOutput[] = [];
  for (const feature of features) {
    const step = stepOf(streams, outputs, feature);
    steps.push(step);
    const widths =
      step.kind === 'operator' ? step.operator.outputs : [{ name: '', ...typeOf(step, streams), list: false }];
    for (const { name: output, type, list } of widths) {
      const path = output === '' ? feature.name : `${feature.name}.${output}`;
      outputs.push({ name: path, type, list, step: steps.length - 1, implicit: false });
    }
  }
  const view: FeatureView = {
    name,
    hash: `sha256:${'0'.repeat(64)}`,
    entity: { name: 'entity', type: 'string', maxLength: 256 },
    streams,
    features: steps.flatMap((step) => (step.kind === 'moment' ? [] : [step.feature])),
    tags: {},
  };
  return { view, streams: streams.map((definition, i) => streamPlan(definition, i, steps)), steps, outputs };
}

function streamPlan(definition: StreamDefinition, index: number, steps: readonly PlanStep[]): StreamPlan {
  const mine = steps.filter((step) => step.kind === 'operator' && step.stream === index);
  const operators = mine.flatMap((step) => (step.kind === 'operator' ? [step.operator] : []));
  const rows = steps.filter((step) => step.kind === 'static' && step.stream === index);
  return {
    definition,
    history: Math.max(rows.length > 0 ? 1 : 0, ...operators.map(({ history }) => history)),
    span: Math.max(0, ...operators.filter(({ tiles }) => !tiles).map(({ span }) => span)),
    tiles: steps.flatMap((step, i) =>
      step.kind === 'operator' && step.stream === index && step.operator.tiles ? [i] : [],
    ),
    keyed: rows.some((step) => step.kind === 'static' && step.key !== undefined),
  };
}

function stepOf(streams: readonly StreamDefinition[], outputs: readonly PlanOutput[], feature: TestFeature): PlanStep {
  const base = {
    name: feature.name,
    required: false,
    onNonFinite: feature.onNonFinite ?? 'null',
    rules: [],
    ...(feature.ttl !== undefined && { ttl: feature.ttl }),
    ...(feature.default !== undefined && { default: feature.default }),
  } satisfies Partial<FeatureDefinition>;
  const place = { slot: outputs.length, width: 1, implicit: false, ...(feature.rules && { rules: feature.rules }) };
  const slotOf = (name: string): number => outputs.findIndex((output) => output.name === name);
  if ('op' in feature) return operatorStep(streams, place, base, feature);
  if ('expression' in feature) {
    const variables = feature.of.map((name) => {
      const { type, list } = outputs[slotOf(name)] as PlanOutput;
      return { name, type, list, nullable: true };
    });
    const expression = engine.compile(feature.expression, variables);
    const slots = expression.variables.map(slotOf);
    const definition = { ...base, kind: 'expression', expression: feature.expression, type: expression.type } as const;
    return { ...place, kind: 'expression', feature: definition, expression, slots };
  }
  if ('request' in feature) {
    return { ...place, kind: 'request', feature: { ...base, kind: 'request', type: feature.request } };
  }
  const stream = streams.findIndex(({ name }) => name === feature.table);
  const fields = (streams[stream] as StreamDefinition).fields;
  const field = fields.findIndex(({ name }) => name === feature.field);
  const type = fields[field]?.type ?? 'double';
  const row = { ...base, kind: 'static', table: feature.table, field: feature.field, type } as const;
  return { ...place, kind: 'static', feature: row, stream, field, ...(feature.key && { key: slotOf(feature.key) }) };
}

function operatorStep(
  streams: readonly StreamDefinition[],
  place: { readonly slot: number; readonly implicit: boolean },
  base: Omit<OperatorFeature, 'kind' | 'op' | 'stream' | 'inputs' | 'params' | 'outputs'>,
  feature: Extract<TestFeature, { op: string }>,
): PlanStep {
  const stream = streams.findIndex(({ name }) => name === feature.stream);
  const { fields } = streams[stream] as StreamDefinition;
  const indexOf = (field: string): number => fields.findIndex(({ name }) => name === field);
  const { inputs = [], params = {}, window, tile } = feature;
  const operator = OPERATORS.get(feature.op)?.compile({
    inputs: inputs.map((field) => ({
      index: indexOf(field),
      field: fields[indexOf(field)] as (typeof fields)[number],
    })),
    params,
    ...(window && { window }),
    ...(tile !== undefined && { tile }),
  });
  if (!operator) throw new RangeError(`no operator ${feature.op}`);
  const definition: OperatorFeature = {
    ...base,
    kind: 'operator',
    op: feature.op,
    stream: feature.stream,
    inputs,
    params,
    outputs: operator.outputs,
    ...(feature.where !== undefined && { where: feature.where }),
  };
  const where = feature.where === undefined ? undefined : engine.compile(feature.where, fields);
  return {
    ...place,
    kind: 'operator',
    width: operator.outputs.length,
    feature: definition,
    operator,
    stream,
    ...(where && { where: { expression: where, fields: where.variables.map(indexOf) } }),
  };
}

function typeOf(step: PlanStep, streams: readonly StreamDefinition[]): { readonly type: ValueType } {
  switch (step.kind) {
    case 'static':
      return { type: streams[step.stream]?.fields[step.field]?.type ?? 'double' };
    case 'expression':
      return { type: step.expression.type };
    case 'request':
      return { type: step.feature.type };
    case 'operator':
    case 'moment':
      return { type: 'double' };
  }
}
