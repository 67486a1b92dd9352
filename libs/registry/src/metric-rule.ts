import { DomainError } from '@sibyl/kernel';
import { isObject, FaultList, pointerTo } from './json-document';
import { Members, NAME_MAX } from './members';

export type Comparison = '>=' | '>' | '<=' | '<' | '==';

/** What a metric of the manifest must come to. */
export interface MetricRule {
  readonly metric: string;
  readonly op: Comparison;
  readonly value: number;
}

/** A metric in which a version may not fall behind the one that it would replace. */
export interface NoWorseRule {
  readonly metric: string;
  /** Which way is better: accuracy is better higher, an error lower. */
  readonly better: 'higher' | 'lower';
  /** By how much it may be worse all the same. */
  readonly margin: number;
}

const COMPARISONS: Readonly<Record<Comparison, (metric: number, value: number) => boolean>> = {
  '>=': (metric, value) => metric >= value,
  '>': (metric, value) => metric > value,
  '<=': (metric, value) => metric <= value,
  '<': (metric, value) => metric < value,
  '==': (metric, value) => metric === value,
};

const TEXT = /^\s*([^\s<>=]{1,256})\s*(>=|<=|==|>|<)\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*$/;

/** Whether a metric keeps a rule. */
export function keepsRule({ op, value }: MetricRule, metric: number): boolean {
  return COMPARISONS[op](metric, value);
}

/** A rule as people write it: `accuracy >= 0.7`. */
export function ruleText({ metric, op, value }: MetricRule): string {
  return `${metric} ${op} ${value}`;
}

/** The metric rules of a policy as a caller writes them, `accuracy >= 0.7` or `{metric, op, value}`. Throws invalid_parameter. */
export function readRules(
  metrics: readonly unknown[],
  noWorse: readonly unknown[],
): { readonly metrics: readonly MetricRule[]; readonly noWorseThanCurrent: readonly NoWorseRule[] } {
  const faults = new FaultList();
  const rules = {
    metrics: readMetricRules(metrics, '/metrics', faults),
    noWorseThanCurrent: readNoWorseRules(noWorse, '/no_worse_than_current', faults),
  };
  if (faults.none) return rules;
  throw new DomainError('invalid_parameter', 'The policy has rules that cannot be read.', { faults: faults.faults });
}

function readMetricRules(entries: readonly unknown[], pointer: string, faults: FaultList): MetricRule[] {
  return entries.flatMap((entry, i) => {
    const at = pointerTo(pointer, i);
    const rule = typeof entry === 'string' ? ruleOfText(entry) : ruleOfObject(entry, at, faults);
    if (rule === undefined) faults.add(at, 'a rule such as "accuracy >= 0.7"', entry);
    return rule ? [rule] : [];
  });
}

function readNoWorseRules(entries: readonly unknown[], pointer: string, faults: FaultList): NoWorseRule[] {
  return entries.flatMap((entry, i) => {
    const at = pointerTo(pointer, i);
    if (!isObject(entry)) {
      faults.add(at, 'an object with "metric" and "better"', entry);
      return [];
    }
    const members = new Members(entry, at, faults);
    refuseOthers(entry, ['metric', 'better', 'margin'], at, faults);
    const metric = metricOf(members);
    const better = members.value('better');
    const margin = members.number('margin') ?? 0;
    if (better !== 'higher' && better !== 'lower') members.fault('better', '"higher" or "lower"');
    if (!(margin >= 0 && Number.isFinite(margin))) members.fault('margin', 'a number from 0');
    return metric !== undefined && (better === 'higher' || better === 'lower') ? [{ metric, better, margin }] : [];
  });
}

function ruleOfText(text: string): MetricRule | undefined {
  const [, metric, op, value] = TEXT.exec(text) ?? [];
  const number = Number(value);
  if (metric === undefined || !Number.isFinite(number)) return undefined;
  return { metric, op: op as Comparison, value: number };
}

function ruleOfObject(entry: unknown, pointer: string, faults: FaultList): MetricRule | undefined {
  if (!isObject(entry)) return undefined;
  const own = new FaultList();
  refuseOthers(entry, ['metric', 'op', 'value'], pointer, own);
  const members = new Members(entry, pointer, own);
  const metric = metricOf(members);
  const op = members.value('op');
  const value = members.number('value');
  for (const fault of own.faults) faults.faults.push(fault);
  if (metric === undefined || typeof op !== 'string' || !Object.hasOwn(COMPARISONS, op)) return undefined;
  return value === undefined || !Number.isFinite(value) ? undefined : { metric, op: op as Comparison, value };
}

function metricOf(members: Members): string | undefined {
  const metric = members.text('metric', NAME_MAX);
  if (metric === undefined || metric === '') return members.fault('metric', 'the name of a metric of the manifest');
  return metric;
}

function refuseOthers(entry: object, known: readonly string[], pointer: string, faults: FaultList): void {
  for (const name of Object.keys(entry))
    if (!known.includes(name)) faults.add(pointerTo(pointer, name), `one of ${known.join(', ')}`, name);
}
