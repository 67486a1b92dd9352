import type { FeatureSet, FeatureView } from '../definitions/feature-view';
import type { ValueType } from '../feature-value';
import type { EventChecks } from '../log/stream-catalog';
import type { StreamDefinition } from '../definitions/feature-view';

export const DEFINITION_KINDS = ['view', 'set'] as const;
export type DefinitionKind = (typeof DEFINITION_KINDS)[number];

/** What is known of other views while one definition is read. */
export interface KnownViews {
  /** The current version of a view, or the one of a hash. */
  view(name: string, hash?: string): FeatureView | undefined;
}

/** What a view computes, for whoever publishes it. */
export interface ViewSummary {
  readonly outputs: readonly { readonly name: string; readonly type: ValueType; readonly list: boolean }[];
  /** Events of each stream that its features look back on: so many, and so many microseconds. */
  readonly history: readonly { readonly stream: string; readonly events: number; readonly span: number }[];
}

/** Reads documents of definitions, without any side effect. Throws invalid_definition. */
export interface DefinitionReader {
  view(document: unknown, known: KnownViews): FeatureView;
  set(document: unknown, known: KnownViews): FeatureSet;
  /** Compiles the view: type errors show here at the latest. */
  summary(view: FeatureView): ViewSummary;
  /** The rules of a stream on push; undefined where it has none. */
  checks(stream: StreamDefinition): EventChecks | undefined;
}
