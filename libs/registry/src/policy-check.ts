import { DomainError, type FieldFault } from '@sibyl/kernel';
import { keepsRule, type MetricRule, type NoWorseRule } from './metric-rule';
import type { ModelPolicy } from './model-policy';

export type Metrics = Readonly<Record<string, unknown>>;

/** A version that another would replace. */
export interface Replaced {
  readonly version: string;
  readonly metrics: Metrics;
}

/** Where the metrics of a manifest do not keep the rules of a policy; `replaced` is absent where nothing would be. */
export function metricFaults(policy: ModelPolicy, metrics: Metrics, replaced: Replaced | undefined): FieldFault[] {
  const faults = policy.metrics.flatMap((rule) => ruleFault(rule, metrics) ?? []);
  const behind = replaced
    ? policy.noWorseThanCurrent.flatMap((rule) => behindFault(rule, metrics, replaced) ?? [])
    : [];
  return [...faults, ...behind];
}

/** The refusal of a promotion, naming all that the version lacks. */
export function lacking(model: string, version: string, lacks: readonly FieldFault[]): DomainError {
  const parts = lacks.map(({ pointer, expected, received }) => `${pointer.slice(1)}: ${expected}, not ${received}`);
  const detail = `Version ${version} of model '${model}' lacks what its policy asks for: ${parts.join('; ')}.`;
  return new DomainError('version_not_servable', detail, { faults: lacks });
}

function ruleFault(rule: MetricRule, metrics: Metrics): FieldFault | undefined {
  const metric = numberOf(metrics, rule.metric);
  if (metric !== undefined && keepsRule(rule, metric)) return undefined;
  return fault(rule.metric, `${rule.op} ${rule.value}`, metric);
}

function behindFault(
  { metric: name, better, margin }: NoWorseRule,
  metrics: Metrics,
  replaced: Replaced,
): FieldFault | undefined {
  const current = numberOf(replaced.metrics, name);
  if (current === undefined) return undefined;
  const metric = numberOf(metrics, name);
  const least = better === 'higher' ? current - margin : current + margin;
  if (metric !== undefined && (better === 'higher' ? metric >= least : metric <= least)) return undefined;
  const within = margin === 0 ? '' : `, within ${margin}`;
  return fault(name, `no worse than the ${current} of version ${replaced.version}${within}`, metric);
}

function fault(metric: string, expected: string, received: number | undefined): FieldFault {
  const pointer = `/metrics/${metric.replaceAll('~', '~0').replaceAll('/', '~1')}`;
  return { pointer, expected, received: received === undefined ? 'nothing' : String(received) };
}

function numberOf(metrics: Metrics, name: string): number | undefined {
  const value = Object.hasOwn(metrics, name) ? metrics[name] : undefined;
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
}
