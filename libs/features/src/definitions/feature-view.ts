import type { FeatureValue, ValueType } from '../feature-value';

/** Microseconds, read from `90s`, `10m`, `1h`, `30d`, `250ms`. */
export type Duration = number;

/**
 * A feature view as it was checked: names resolved, durations in microseconds, every default filled in. What users write is
 * docs/formats/feature-definitions.md; `hash` is the SHA-256 of the canonical form of what they wrote.
 */
export interface FeatureView {
  readonly name: string;
  /** `sha256:` and 64 hexadecimal digits. */
  readonly hash: string;
  readonly description?: string;
  readonly entity: EntityRule;
  readonly streams: readonly StreamDefinition[];
  readonly features: readonly FeatureDefinition[];
  readonly freshnessSlo?: Duration;
  readonly tags: Readonly<Record<string, string>>;
}

export interface EntityRule {
  /** The join key: the member of a request's entity object that holds it. */
  readonly name: string;
  readonly type: 'string' | 'int';
  /** RE2, the whole key. */
  readonly pattern?: string;
  readonly maxLength: number;
}

/** Which of two events with the same identity counts: `event_time` lets a later one correct, `event_id` keeps both. */
export type StreamIdentity = 'event_time' | 'event_id';

export interface StreamDefinition {
  /** Unique in the installation; one view owns it. */
  readonly name: string;
  /** The view that owns the stream, where that is another one; its definition then stands here too. */
  readonly of?: string;
  readonly identity: StreamIdentity;
  readonly fields: readonly FieldDefinition[];
  readonly allowedLateness: Duration;
  /** How long events are kept; partitions older than the longest of the streams of their class are dropped. */
  readonly retention: Duration;
  readonly rules: readonly ValueRule[];
  /** A static table: rows are events of identity `event_time`, and only the last one of a key counts. */
  readonly table: boolean;
}

export interface FieldDefinition {
  readonly name: string;
  readonly type: ValueType;
  readonly nullable: boolean;
}

export type RulePhase = 'push' | 'serve' | 'request';
export type RuleAction = 'reject' | 'null' | 'clamp' | 'default' | 'warn';

/** One rule on one value, or (`expression` without `field`) on one event. Exactly one of the checks is there. */
export interface ValueRule {
  readonly field?: string;
  readonly between?: {
    readonly min?: number;
    readonly max?: number;
    readonly exclusiveMin?: boolean;
    readonly exclusiveMax?: boolean;
  };
  readonly inSet?: readonly (string | number | boolean)[];
  readonly length?: { readonly min?: number; readonly max?: number };
  /** RE2, searched in the value unless anchored. */
  readonly regex?: string;
  readonly monotonic?: 'increasing' | 'non_decreasing';
  /** Largest absolute change from the event before it. */
  readonly maxChange?: number;
  readonly maxAge?: Duration;
  readonly unique?: boolean;
  readonly expression?: string;
  readonly action: RuleAction;
  readonly value?: FeatureValue;
}

interface FeatureBase {
  readonly name: string;
  readonly ttl?: Duration;
  readonly required: boolean;
  readonly default?: FeatureValue;
  /** What stands in where arithmetic came to NaN or an infinity: null with status NON_FINITE, or the default. */
  readonly onNonFinite: 'null' | 'default';
  readonly rules: readonly ValueRule[];
  readonly description?: string;
}

/** `period`, `fast`, `slow`, `signal`, `n`, `q`, `deviations`, `unit`, ... as the operator names them. */
export type OperatorParams = Readonly<Record<string, number | string | boolean>>;

/** A window: the last `events` of the stream, or `(t - span, t]`. */
export type Window = { readonly events: number } | { readonly span: Duration };

export interface OperatorFeature extends FeatureBase {
  readonly kind: 'operator';
  readonly op: string;
  readonly stream: string;
  /** Fields that the operator reads, in its own order (`atr`: high, low, close); empty for `count`, `rate`, `time_since_last`. */
  readonly inputs: readonly string[];
  readonly window?: Window;
  /** Long windows are summed over tiles of this span; their old edge then moves in steps of it. */
  readonly tile?: Duration;
  /** CEL over the fields of one event; only with a window by time. */
  readonly where?: string;
  readonly params: OperatorParams;
  /** Names and types of what it gives: one unnamed, or `line`, `signal`, `hist`: the feature `macd` is then read as `macd.hist`. */
  readonly outputs: readonly OperatorOutput[];
}

export interface OperatorOutput {
  /** Empty for the only output of an operator. */
  readonly name: string;
  readonly type: ValueType;
  readonly list: boolean;
}

export interface ExpressionFeature extends FeatureBase {
  readonly kind: 'expression';
  readonly expression: string;
  readonly type: ValueType;
}

export interface RequestFeature extends FeatureBase {
  readonly kind: 'request';
  readonly type: ValueType;
}

/** Looks up a row of a static table by the entity or by another feature's value. */
export interface StaticFeature extends FeatureBase {
  readonly kind: 'static';
  readonly table: string;
  readonly field: string;
  /** Name of a feature of type string or int of this view; left out: the entity itself. */
  readonly key?: string;
  readonly type: ValueType;
}

export type FeatureDefinition = OperatorFeature | ExpressionFeature | RequestFeature | StaticFeature;

/** What one model consumes. */
export interface FeatureSet {
  readonly name: string;
  readonly hash: string;
  readonly description?: string;
  readonly members: readonly SetMember[];
  readonly onMissing: MissingPolicy;
  readonly onStale: MissingPolicy | 'degrade';
  /** Share of members that must be PRESENT or DEFAULTED, 0 to 1. */
  readonly minCompleteness: number;
}

export type MissingPolicy = 'error' | 'null' | 'default';

export interface SetMember {
  /** What the model calls it. */
  readonly name: string;
  readonly view: string;
  /** Pinned when the set is published: a set never changes under a model. */
  readonly viewHash: string;
  /** `rsi`, or `macd.hist`. */
  readonly feature: string;
  readonly type: ValueType;
  readonly default?: FeatureValue;
}
