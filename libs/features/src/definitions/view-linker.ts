import type { FieldFault } from '@sibyl/kernel';
import { ExpressionFault, type Variable } from '../expressions/expression-engine';
import type { ValueType } from '../feature-value';
import { OperatorFault, type OperatorRequest } from '../operators/operator';
import type { RuleSet } from '../rules/rule-set';
import type { DraftOf, FeatureDraft } from './feature-draft';
import type { LinkerParts } from './definition-parts';
import { ofExpression } from './expression-faults';
import { REQUEST_TIME } from './feature-reader';
import type {
  FeatureDefinition,
  FieldDefinition,
  OperatorFeature,
  OperatorOutput,
  StreamDefinition,
} from './feature-view';
import { linkCondition, linkExpression } from './expression-linking';
import { linkRules } from './feature-rules';
import { chosenOutputs, type Fail } from './operator-outputs';
import { PlanBuilder } from './plan-builder';

/** A view as it was written. */
export interface ViewDraft {
  readonly name: string;
  readonly streams: readonly StreamDefinition[];
  readonly drafts: readonly FeatureDraft[];
  /** Names of features that could not be read: whoever reads them is not at fault. */
  readonly failed: ReadonlySet<string>;
}

/** Hears what is wrong: the index of the feature, the member, and the fault. */
export type FaultSink = (feature: number, member: string, fault: Omit<FieldFault, 'pointer'>) => void;

/**
 * Compiles the features of a view, each after those that it reads. Finds every fault that can be found: what depends on a feature
 * that failed is passed over in silence, as its faults would only follow.
 */
export class ViewLinker {
  readonly plan = new PlanBuilder();
  private readonly states = new Map<number, 'under way' | 'linked' | 'failed'>();
  private readonly indexes: ReadonlyMap<string, number>;
  private readonly made: (FeatureDefinition | undefined)[] = [];
  private readonly path: string[] = [];

  constructor(
    private readonly draft: ViewDraft,
    private readonly parts: LinkerParts,
    private readonly sink: FaultSink,
  ) {
    this.indexes = new Map(draft.drafts.map(({ name }, i) => [name, i]));
  }

  /** The features in their order; those that failed are left out. */
  link(): readonly FeatureDefinition[] {
    this.draft.drafts.forEach((_, i) => this.visit(i));
    return this.made.flatMap((feature) => feature ?? []);
  }

  private visit(index: number): boolean {
    const state = this.states.get(index);
    const draft = this.draft.drafts[index];
    if (!draft) return false;
    if (state === 'under way') {
      const cycle = [...this.path.slice(this.path.indexOf(draft.name)), draft.name].join(' → ');
      this.sink(index, memberOf(draft), { expected: 'a feature that does not read itself', hint: `cycle: ${cycle}` });
      return false;
    }
    if (state) return state === 'linked';
    this.states.set(index, 'under way');
    this.path.push(draft.name);
    const feature = this.compile(index, draft);
    this.path.pop();
    this.made[index] = feature;
    this.states.set(index, feature ? 'linked' : 'failed');
    return feature !== undefined;
  }

  private compile(index: number, draft: FeatureDraft): FeatureDefinition | undefined {
    const fail = (member: string, fault: Omit<FieldFault, 'pointer'>): undefined =>
      this.sink(index, member, fault) as undefined;
    switch (draft.kind) {
      case 'operator':
        return this.operator(index, draft, fail);
      case 'expression':
        return this.expression(index, draft, fail);
      case 'request': {
        const rules = this.rules(index, draft, draft.type);
        this.plan.add({ kind: 'request', feature: draft, implicit: false, ...rules }, draft.name, one(draft.type), [
          '',
        ]);
        return draft;
      }
      case 'static':
        return this.table(index, draft, fail);
    }
  }

  private operator(index: number, draft: DraftOf<'operator'>, fail: Fail): OperatorFeature | undefined {
    const stream = this.draft.streams.find(({ name }) => name === draft.stream);
    const operator = this.parts.operators.get(draft.op);
    if (!stream || !operator) return fail('op', { expected: 'an operator and a stream that exist' });
    const where =
      draft.where === undefined ? undefined : linkCondition(draft.where, stream, this.parts.expressions, fail);
    if (draft.where !== undefined && !where) return undefined;
    try {
      const compiled = operator.compile(this.request(draft));
      const ambiguous = compiled.outputs.find(({ name }) => name !== '' && this.field(`${draft.name}.${name}`));
      if (ambiguous) return fail('name', { hint: `'${draft.name}.${ambiguous.name}' is a field of a stream too` });
      const outputs = chosenOutputs(draft.outputs, compiled.outputs, fail);
      if (!outputs || !this.keptLongEnough(compiled.span, stream, fail)) return undefined;
      const feature = { ...draft, outputs };
      const types = new Set(outputs.map(({ type, list }) => (list ? 'list' : type)));
      const rules = this.rules(index, draft, types.size === 1 ? outputs[0]?.type : undefined, types.has('list'));
      this.plan.add(
        {
          ...{
            kind: 'operator',
            feature,
            operator: compiled,
            stream: this.plan.stream(stream, false),
            implicit: false,
          },
          ...(where && { where }),
          ...rules,
        },
        draft.name,
        compiled.outputs,
        outputs.map(({ name }) => name),
      );
      return feature;
    } catch (error) {
      if (!(error instanceof OperatorFault)) throw error;
      return fail(error.member, { expected: 'what the operator takes', hint: error.message });
    }
  }

  private request({ stream, inputs, params, window, tile }: DraftOf<'operator'>): OperatorRequest {
    const fields = inputs.flatMap((name) => this.field(`${stream}.${name}`) ?? []);
    return {
      inputs: fields.map(({ at, field }) => ({ index: at, field })),
      params,
      ...(window && { window }),
      ...(tile !== undefined && { tile }),
    };
  }

  private keptLongEnough(span: number, { name, retention }: StreamDefinition, fail: Fail): boolean {
    if (span <= retention) return true;
    fail('window', { expected: `a window within the retention of '${name}'` });
    return false;
  }

  private expression(index: number, draft: DraftOf<'expression'>, fail: Fail): FeatureDefinition | undefined {
    const variables = this.variables(draft.expression, fail);
    if (!variables) return undefined;
    const written = { member: 'expr', source: draft.expression, expected: draft.type } as const;
    const expression = linkExpression(written, variables, this.parts.expressions, fail);
    if (!expression) return undefined;
    const { type } = expression;
    const feature = { ...draft, type };
    const slots = expression.variables.map((name) => this.plan.slot(name) ?? -1);
    const rules = this.rules(index, draft, type);
    this.plan.add(
      { kind: 'expression', feature, expression, slots, implicit: false, ...rules },
      draft.name,
      one(type),
      [''],
    );
    return feature;
  }

  /** What the expression names, linked; where a name is unknown all others too, so that near ones can be told. */
  private variables(source: string, fail: Fail): readonly Variable[] | undefined {
    let names: readonly string[];
    try {
      names = this.parts.expressions.names(source);
    } catch (error) {
      if (!(error instanceof ExpressionFault)) throw error;
      return fail('expr', ofExpression(error));
    }
    // All of them are visited, so that each cycle and each fault is found.
    const failed = names.filter((name) => this.resolve(name) === 'failed');
    if (failed.length > 0) return undefined;
    const known = names.flatMap((name): Variable[] => {
      const output = this.plan.output(name);
      return output ? [{ name, type: output.type, list: output.list, nullable: true }] : [];
    });
    if (known.length === names.length) return known;
    const fields = this.draft.streams.flatMap((stream) => stream.fields.map((field) => `${stream.name}.${field.name}`));
    const others = [...this.indexes.keys(), ...this.plan.outputs.map(({ name }) => name), ...fields, REQUEST_TIME];
    const unread = others.filter((name) => !names.includes(name));
    return [...known, ...unread.map((name): Variable => ({ name, type: 'double', nullable: true }))];
  }

  /** Links what a name stands for. */
  private resolve(name: string): 'linked' | 'failed' | 'unknown' {
    const [first = ''] = name.split('.');
    const index = this.indexes.get(name) ?? this.indexes.get(first);
    if (this.draft.failed.has(first)) return 'failed';
    if (index !== undefined && !this.field(name)) return this.visit(index) ? 'linked' : 'failed';
    if (this.plan.slot(name) !== undefined) return 'linked';
    if (name === REQUEST_TIME) {
      this.plan.add({ kind: 'moment', implicit: true }, name, one('int'), ['']);
      return 'linked';
    }
    const found = this.field(name);
    const last = this.parts.operators.get('last');
    if (!found || !last) return 'unknown';
    const { stream, at, field } = found;
    const operator = last.compile({ inputs: [{ index: at, field }], params: {} });
    const feature: OperatorFeature = {
      ...{ name, kind: 'operator', op: 'last', stream: stream.name, inputs: [field.name], params: {} },
      ...{ outputs: operator.outputs, required: false, onNonFinite: 'null', rules: [] },
    };
    const step = {
      kind: 'operator',
      feature,
      operator,
      stream: this.plan.stream(stream, false),
      implicit: true,
    } as const;
    this.plan.add(step, name, operator.outputs, ['']);
    return 'linked';
  }

  /** `<stream>.<field>`. */
  private field(name: string): StreamField | undefined {
    const [first, second, ...more] = name.split('.');
    const stream = this.draft.streams.find((known) => known.name === first);
    const at = stream?.fields.findIndex((known) => known.name === second) ?? -1;
    const field = stream?.fields[at];
    return stream && field && more.length === 0 ? { stream, at, field } : undefined;
  }

  private table(index: number, draft: DraftOf<'static'>, fail: Fail): FeatureDefinition | undefined {
    const stream = this.draft.streams.find(({ name }) => name === draft.table);
    if (!stream?.table) return fail('table', { expected: 'a stream of the view with table: true' });
    const at = stream.fields.findIndex(({ name }) => name === draft.field);
    const field = stream.fields[at];
    if (!field) return fail('field', { expected: `a field of '${draft.table}'`, hint: `'${draft.field}' is none` });
    let key: number | undefined;
    if (draft.key !== undefined) {
      const state = this.resolve(draft.key);
      if (state === 'failed') return undefined;
      const output = this.plan.output(draft.key);
      if (!output || output.list || (output.type !== 'string' && output.type !== 'int')) {
        return fail('key', { expected: 'the name of the entity, or a feature of type string or int' });
      }
      key = this.plan.slot(draft.key);
    }
    const feature = { ...draft, type: field.type };
    const rules = this.rules(index, draft, field.type);
    const used = this.plan.stream(stream, key !== undefined);
    const step = {
      kind: 'static',
      feature,
      stream: used,
      field: at,
      implicit: false,
      ...(key !== undefined && { key }),
      ...rules,
    } as const;
    this.plan.add(step, draft.name, one(field.type), ['']);
    return feature;
  }

  private rules(
    index: number,
    draft: FeatureDraft,
    type: ValueType | undefined,
    list = false,
  ): { readonly rules?: RuleSet } {
    return linkRules(this.draft.name, draft, list ? undefined : type, this.parts, (member, fault) =>
      this.sink(index, member, fault),
    );
  }
}

interface StreamField {
  readonly stream: StreamDefinition;
  readonly at: number;
  readonly field: FieldDefinition;
}

function memberOf({ kind }: FeatureDraft): string {
  return kind === 'static' ? 'key' : 'expr';
}

function one(type: ValueType): readonly OperatorOutput[] {
  return [{ name: '', type, list: false }];
}
