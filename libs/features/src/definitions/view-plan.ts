import type { CompiledExpression } from '../expressions/expression-engine';
import type { ValueType } from '../feature-value';
import type { CompiledOperator } from '../operators/operator';
import type { RuleSet } from '../rules/rule-set';
import type { Micros } from '../time';
import type {
  ExpressionFeature,
  FeatureView,
  OperatorFeature,
  RequestFeature,
  StaticFeature,
  StreamDefinition,
} from './feature-view';

/**
 * A view as it is computed: flat arrays, every name resolved. Immutable, made once a version, used by live reads, reads of the past
 * and training sets alike.
 */
export interface ViewPlan {
  readonly view: FeatureView;
  readonly streams: readonly StreamPlan[];
  /** Each after all that it reads. */
  readonly steps: readonly PlanStep[];
  /** The slots: one value and one status each while a plan is evaluated. */
  readonly outputs: readonly PlanOutput[];
}

export interface StreamPlan {
  readonly definition: StreamDefinition;
  /** Newest events that the steps may read; 0 where windows by time say it all. */
  readonly history: number;
  /** The longest window by time without tiles; 0: none. What is needed is the longer of `history` and `span`. */
  readonly span: Micros;
  /** Indexes in `steps` of the operators with tiles on this stream. */
  readonly tiles: readonly number[];
  /** Where the plan looks up rows of a table by a key: the series is that of the key and not that of the entity. */
  readonly keyed: boolean;
}

interface StepBase {
  /** First of the slots that it fills; `macd` fills three in a row. */
  readonly slot: number;
  readonly width: number;
  /** Of the feature, for what is served and for what a request gives in its stead; absent where it has none. */
  readonly rules?: RuleSet;
  /** Not a feature of the view: `<stream>.<field>` or `request_time` of an expression. */
  readonly implicit: boolean;
}

export interface OperatorStep extends StepBase {
  readonly kind: 'operator';
  readonly feature: OperatorFeature;
  readonly operator: CompiledOperator;
  /** Index in `ViewPlan.streams`. */
  readonly stream: number;
  readonly where?: EventCondition;
}

/** A condition on one event: `expression.evaluate` takes the values of these fields; the event counts where it gives `true`. */
export interface EventCondition {
  readonly expression: CompiledExpression;
  /** Indexes of fields of the stream, in the order of `expression.variables`. */
  readonly fields: readonly number[];
}

export interface ExpressionStep extends StepBase {
  readonly kind: 'expression';
  readonly feature: ExpressionFeature;
  readonly expression: CompiledExpression;
  /** Slots of its variables, in the order of `expression.variables`. */
  readonly slots: readonly number[];
}

export interface RequestStep extends StepBase {
  readonly kind: 'request';
  readonly feature: RequestFeature;
}

export interface StaticStep extends StepBase {
  readonly kind: 'static';
  readonly feature: StaticFeature;
  /** Index in `ViewPlan.streams`, of the table. */
  readonly stream: number;
  /** Index of the field in the table. */
  readonly field: number;
  /** Slot of the feature whose value is the key of the row; absent: the entity itself. */
  readonly key?: number;
}

/**
 * `request_time` of expressions: the moment that is asked about, in whole milliseconds since 1970 UTC. Implicit, without a feature;
 * what reads it changes with the moment and not with events only.
 */
export interface MomentStep extends StepBase {
  readonly kind: 'moment';
}

export type PlanStep = OperatorStep | ExpressionStep | RequestStep | StaticStep | MomentStep;

export interface PlanOutput {
  /** `rsi`, `macd.hist`; `candles_1m.high` where it is implicit. */
  readonly name: string;
  readonly type: ValueType;
  readonly list: boolean;
  /** Index in `steps`. */
  readonly step: number;
  /** Read by expressions only, or not among the `outputs` that the definition chose: not for callers. */
  readonly implicit: boolean;
}
