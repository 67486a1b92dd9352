import { formatDuration } from '../definitions/duration';
import type { OperatorFeature, StaticFeature } from '../definitions/feature-view';
import type { PlanStep, ViewPlan } from '../definitions/view-plan';
import type { LineageGraph } from './lineage-graph';

const DIGITS = 12;

/** The digits of a hash by which versions are named. */
export function versionOf(hash: string): string {
  return hash.slice('sha256:'.length, 'sha256:'.length + DIGITS);
}

export function fieldId(stream: string, field?: string): string {
  return field === undefined ? `field:${stream}` : `field:${stream}.${field}`;
}

export function featureId(view: string, hash: string, feature: string): string {
  return `feature:${view}@${versionOf(hash)}:${feature}`;
}

/** Adds what a version of a view computes, and of which fields. */
export function addView(graph: LineageGraph, plan: ViewPlan): void {
  const { name: view, hash } = plan.view;
  const version = versionOf(hash);
  // By step: the nodes that stand for it where another step reads it without its being a feature for callers.
  const sources: string[][] = [];
  for (const step of plan.steps) sources.push(addStep(graph, plan, step, sources));
  for (const output of plan.outputs) {
    if (output.implicit) continue;
    const id = featureId(view, hash, output.name);
    graph.add({ id, kind: 'feature', name: `${view}:${output.name}`, version });
    for (const source of sources[output.step] ?? []) graph.link(source, id);
  }
}

function addStep(graph: LineageGraph, plan: ViewPlan, step: PlanStep, sources: readonly string[][]): string[] {
  const { name: view, hash } = plan.view;
  const inputs = inputsOf(graph, plan, step, sources);
  // The newest value of a field, and the moment, are nothing of their own to whom an expression is explained.
  if (step.kind === 'moment' || step.implicit) return inputs;
  const { name } = step.feature;
  if (step.kind === 'request') {
    const id = `request:${view}@${versionOf(hash)}:${name}`;
    return [graph.add({ id, kind: 'request', name: `request.${name}` })];
  }
  const id = `operator:${view}@${versionOf(hash)}:${name}`;
  graph.add({ id, kind: 'operator', name: describeStep(step) });
  for (const input of inputs) graph.link(input, id);
  return [id];
}

function inputsOf(graph: LineageGraph, plan: ViewPlan, step: PlanStep, sources: readonly string[][]): string[] {
  const field = (stream: string, name?: string): string =>
    graph.add({
      ...{ id: fieldId(stream, name), kind: 'field', stream },
      name: name === undefined ? stream : `${stream}.${name}`,
    });
  const slot = (index: number): string[] => {
    const output = plan.outputs[index];
    if (!output) return [];
    return output.implicit ? (sources[output.step] ?? []) : [featureId(plan.view.name, plan.view.hash, output.name)];
  };
  switch (step.kind) {
    case 'operator':
      return fieldsOf(plan, step).map(({ stream, name }) => field(stream, name));
    case 'expression':
      return [...new Set(step.slots.flatMap(slot))];
    case 'static':
      return [field(step.feature.table, step.feature.field), ...(step.key === undefined ? [] : slot(step.key))];
    default:
      return [];
  }
}

/** The fields that an operator reads, those of its condition too; of one that counts events the stream itself. */
function fieldsOf(
  plan: ViewPlan,
  { feature, stream, where }: Extract<PlanStep, { kind: 'operator' }>,
): { readonly stream: string; readonly name?: string }[] {
  const fields = plan.streams[stream]?.definition.fields ?? [];
  const conditions = where?.fields.flatMap((index) => fields[index]?.name ?? []) ?? [];
  const named = [...new Set([...feature.inputs, ...conditions])].map((name) => ({ stream: feature.stream, name }));
  return feature.inputs.length === 0 ? [{ stream: feature.stream }, ...named] : named;
}

/** `rsi(close) period=14`, `sum(amount) window=1h where ok`, the expression itself, `lookup(card_profile.home)`. */
export function describeStep(step: Extract<PlanStep, { kind: 'operator' | 'expression' | 'static' }>): string {
  if (step.kind === 'operator') return describeOperator(step.feature);
  return step.kind === 'expression' ? step.feature.expression : describeLookup(step.feature);
}

function describeOperator({ op, inputs, params, window, tile, where, stream }: OperatorFeature): string {
  return [
    `${op}(${inputs.length === 0 ? stream : inputs.join(', ')})`,
    ...Object.entries(params).map(([name, value]) => `${name}=${value}`),
    ...(window === undefined ? [] : [`window=${'events' in window ? window.events : formatDuration(window.span)}`]),
    ...(tile === undefined ? [] : [`tile=${formatDuration(tile)}`]),
    ...(where === undefined ? [] : [`where ${where}`]),
  ].join(' ');
}

function describeLookup({ table, field, key }: StaticFeature): string {
  return `lookup(${table}.${field}${key === undefined ? '' : ` by ${key}`})`;
}
