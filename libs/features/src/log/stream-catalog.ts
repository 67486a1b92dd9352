import type { EntityRule, StreamDefinition } from '../definitions/feature-view';
import type { EventRules } from '../rules/event-rules';

/** A stream as the log knows it. */
export interface LoggedStream {
  /** Under which its events lie. */
  readonly id: number;
  readonly retentionClass: number;
  readonly definition: StreamDefinition;
  readonly entity: EntityRule;
  readonly rules?: EventRules;
}

/** Streams by name, as the current versions of their views say them; in memory. */
export interface StreamCatalog {
  stream(name: string): LoggedStream | undefined;
  streamOfId(id: number): LoggedStream | undefined;
  streamNames(): readonly string[];
}
