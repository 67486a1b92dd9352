import { CelEngine } from '../expressions/cel-engine';
import { diffSets, diffViews, type DefinitionDiff } from '../definitions/definition-diff';
import type { KnownStreams } from '../definitions/definition-parts';
import type { FeatureSet, FeatureView, StreamDefinition } from '../definitions/feature-view';
import { parseSet, type KnownViews } from '../definitions/set-definition';
import { compileView } from '../definitions/view-compiler';
import { parseView } from '../definitions/view-definition';
import type { ViewPlan } from '../definitions/view-plan';
import type { ValueType } from '../feature-value';
import { fieldsByOutput } from '../lineage/field-lineage';
import { OPERATORS } from '../operators/catalogue';
import { compileStreamRule, compileStreamRules } from '../rules/compile-rules';
import type { EventRules } from '../rules/event-rules';
import { RuleTally } from '../rules/rule-tally';

export const DEFINITION_KINDS = ['view', 'set'] as const;
export type DefinitionKind = (typeof DEFINITION_KINDS)[number];

/** What a view computes, for whoever publishes it. */
export interface ViewSummary {
  readonly outputs: readonly { readonly name: string; readonly type: ValueType; readonly list: boolean }[];
  /** How far its features look back on each stream: so many events, and so many microseconds. */
  readonly history: readonly { readonly stream: string; readonly events: number; readonly span: number }[];
}

/** A rule of a stream, as what does not hold is counted by. */
export interface RuleUse {
  readonly view: string;
  readonly target: string;
  readonly rule: string;
  readonly action: string;
}

export interface LineageEdge {
  readonly from: string;
  readonly to: string;
}

export interface LineageDiff {
  readonly added: readonly LineageEdge[];
  readonly removed: readonly LineageEdge[];
}

/** What definitions are read and compiled with: one a process, so that its rules are counted in one place. */
export class DefinitionCompiler {
  readonly tally = new RuleTally();
  private readonly expressions = new CelEngine();
  private readonly plans = new WeakMap<FeatureView, ViewPlan>();

  /** Throws invalid_definition. */
  view(document: unknown, streams: KnownStreams): FeatureView {
    return parseView(document, { operators: OPERATORS, expressions: this.expressions, streams });
  }

  /** Throws invalid_definition. */
  set(document: unknown, views: KnownViews): FeatureSet {
    return parseSet(document, views);
  }

  /** The plan of a version, made once. */
  plan(view: FeatureView): ViewPlan {
    const known = this.plans.get(view);
    if (known) return known;
    const { expressions, tally } = this;
    const plan = compileView(view, { operators: OPERATORS, expressions, tally });
    this.plans.set(view, plan);
    return plan;
  }

  /** The rules of a stream on push; undefined where it has none. */
  eventRules(view: string, stream: StreamDefinition): EventRules | undefined {
    return compileStreamRules(view, stream, this.expressions, this.tally);
  }

  /** The rules of a stream that ask about a field, or all of them. */
  rulesOn(view: string, stream: StreamDefinition, field?: string): readonly RuleUse[] {
    return stream.rules.flatMap((rule): RuleUse[] => {
      const read = rule.expression === undefined ? [] : this.expressions.names(rule.expression);
      if (field !== undefined && rule.field !== field && !read.includes(field)) return [];
      const target = rule.field === undefined ? stream.name : `${stream.name}.${rule.field}`;
      const { kind } = compileStreamRule(rule, stream, this.expressions);
      return [{ view, target, rule: kind, action: rule.action }];
    });
  }

  summary(view: FeatureView): ViewSummary {
    const { outputs, streams } = this.plan(view);
    return {
      outputs: outputs.filter(({ implicit }) => !implicit).map(({ name, type, list }) => ({ name, type, list })),
      history: streams.map(({ definition, history, span }) => ({ stream: definition.name, events: history, span })),
    };
  }

  /** What comes from where in a version, and no longer or not yet in the one before. */
  lineage(from: FeatureView | FeatureSet | undefined, to: FeatureView | FeatureSet): LineageDiff {
    const [old, present] = [from ? this.edges(from) : new Map<string, LineageEdge>(), this.edges(to)];
    const without = (some: ReadonlyMap<string, LineageEdge>, others: ReadonlyMap<string, LineageEdge>): LineageEdge[] =>
      [...some].flatMap(([key, edge]) => (others.has(key) ? [] : [edge]));
    return { added: without(present, old), removed: without(old, present) };
  }

  /** Fields of streams to outputs of a view, features of views to members of a set. */
  private edges(one: FeatureView | FeatureSet): ReadonlyMap<string, LineageEdge> {
    const edges =
      'members' in one
        ? one.members.map(({ view, feature, name }) => ({ from: `${view}:${feature}`, to: name }))
        : [...fieldsByOutput(this.plan(one))].flatMap(([to, uses]) =>
            uses.map(({ stream, field }) => ({ from: `${stream}.${field}`, to })),
          );
    return new Map(edges.map((edge) => [`${edge.from} ${edge.to}`, edge]));
  }

  diff(from: FeatureView | FeatureSet, to: FeatureView | FeatureSet): DefinitionDiff {
    if ('members' in from && 'members' in to) return diffSets(from, to);
    return diffViews(from as FeatureView, to as FeatureView);
  }
}
