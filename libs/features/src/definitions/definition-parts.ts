import type { ExpressionEngine } from '../expressions/expression-engine';
import type { Operator } from '../operators/operator';
import type { RuleTally } from '../rules/rule-tally';
import type { EntityRule, StreamDefinition } from './feature-view';

export interface KnownStream {
  /** The view that owns it. */
  readonly view: string;
  readonly definition: StreamDefinition;
  readonly entity?: EntityRule | undefined;
}

/** Streams of the installation that were published, whether or not the present version of their view still has them. */
export interface KnownStreams {
  stream(name: string): KnownStream | undefined;
}

/** What features are compiled with. */
export interface LinkerParts {
  readonly operators: ReadonlyMap<string, Operator>;
  readonly expressions: ExpressionEngine;
  readonly tally: RuleTally;
}

/** What definitions are checked against. */
export interface DefinitionParts extends Omit<LinkerParts, 'tally'> {
  readonly streams: KnownStreams;
}
