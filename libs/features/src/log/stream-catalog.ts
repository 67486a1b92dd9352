import type { EntityRule, StreamDefinition } from '../definitions/feature-view';
import type { EventRules } from '../rules/event-rules';

/** Where the events of a stream lie in the log. */
export interface KeptStream {
  /** Under which its events lie. */
  readonly id: number;
  readonly retentionClass: number;
  readonly definition: StreamDefinition;
}

/** A stream that events can be pushed to. */
export interface LoggedStream extends KeptStream {
  readonly entity: EntityRule;
  readonly rules?: EventRules;
}

/** Streams by name, in memory. */
export interface StreamCatalog {
  /** Of a view that is published, in its current version or in one before it, which a set may name. */
  stream(name: string): LoggedStream | undefined;
  /** That ever was published: its events are read by whoever knows a version that has it. */
  kept(name: string): KeptStream | undefined;
  keptOfId(id: number): KeptStream | undefined;
  streamNames(): readonly string[];
}
