import type { FeatureSlot } from './model-contract';

/** Whose features are asked for, and as of when. */
export interface FeatureQuery {
  readonly symbol?: string;
  readonly entity?: string;
  readonly timestamp?: string;
}

/** Supplies values for features that a request left out; what it does not know stays missing. */
export abstract class FeatureReader {
  abstract read(query: FeatureQuery, slots: readonly FeatureSlot[]): ReadonlyMap<string, unknown> | undefined;
}

/** Knows nothing of entities: every missing feature falls back to the manifest's default. */
export class ManifestDefaults extends FeatureReader {
  read(): undefined {
    return undefined;
  }
}
