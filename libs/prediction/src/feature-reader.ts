import type { DomainError } from '@sibyl/kernel';
import type { JsonObject } from './feature-rows';
import type { FeatureSlot } from './model-contract';
import type { ServedVersion } from './served-version';

/** Whose features are asked for, and as of when. */
export interface FeatureQuery {
  readonly symbol?: string;
  /** The key of an entity, or several keys by their names. */
  readonly entity?: string | Readonly<Record<string, string | number>>;
  readonly timestamp?: string;
}

/** A row of a request. */
export interface FeatureAsk {
  readonly query: FeatureQuery;
  /** What the request gives. */
  readonly features: JsonObject;
  /** Where that stands in the request, for errors. */
  readonly pointer: string;
}

/** The call that rows are read for: how long it may take is a matter of both. */
export interface FeatureCall {
  /** A time of the monotonic clock in milliseconds. */
  readonly deadlineAt: number;
  /** Rows of all its versions. */
  readonly rows: number;
}

/** What a feature source has for one row. */
export interface FilledRow {
  /** By the names of features, of those that the request leaves out; `null` is missing to the model. */
  readonly values: ReadonlyMap<string, unknown>;
  /** Values that took the place of what the request gives, by the rules of its features. */
  readonly amended: readonly { readonly slot: FeatureSlot; readonly value: unknown }[];
  /** Features that a default of the source stands in for. */
  readonly defaulted: readonly string[];
  /** Features whose value is older than it should be. */
  readonly stale: readonly string[];
  readonly basis: FeatureBasis | undefined;
  /** Some of what had arrived at its moment was not known yet: asked later, it may have other values. */
  readonly unsettled?: boolean | undefined;
  /** Something of what its values come from is too old to be kept for certain. */
  readonly beyondRetention?: boolean | undefined;
}

/** What features were made from, for the record of the prediction: enough to make them again. */
export interface FeatureBasis {
  /** The version of the feature set. */
  readonly set: string;
  /** An object, as JSON text. */
  json(): string;
}

/** The features of one version. */
export interface VersionFeatures {
  /** What requests may give beside the features of the model, for others to be computed from; undefined: not known now. */
  readonly extra: ReadonlySet<string> | undefined;
  /**
   * What it has for each row, or why the row cannot be answered: at once where everything is at hand. Rows that leave nothing out
   * are asked about too, for what it knows of the values that they give.
   */
  read(rows: readonly FeatureAsk[], call: FeatureCall): FilledRows | Promise<FilledRows>;
}

export type FilledRows = readonly (FilledRow | DomainError)[];

/** Supplies values for features that a request left out; what it does not know stays missing. */
export abstract class FeatureReader {
  /** Undefined for a version that has no source of features. Asked for each prediction. */
  abstract featuresOf(served: ServedVersion): VersionFeatures | undefined;
  /** Rejects where the source that a version names cannot serve it. */
  abstract check(served: ServedVersion): Promise<void>;
}

/** Knows nothing of entities: every missing feature falls back to the manifest's default. */
export class ManifestDefaults extends FeatureReader {
  featuresOf(): undefined {
    return undefined;
  }

  check(): Promise<void> {
    return Promise.resolve();
  }
}
