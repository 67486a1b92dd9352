import type { Datatype } from '@sibyl/protocol';
import type { JsonObject } from './json-document';

/** What sibyl.json says about a version. Everything but name and version may be absent; `document` has it all, as it came. */
export interface Manifest {
  readonly name: string;
  readonly version: string;
  /** `classification`, `regression`, `embedding`, `text-generation` or `generic`; any other word acts as `generic`. */
  readonly task?: string;
  readonly description?: string;
  /** RFC 3339, as the manifest has it. */
  readonly trainingDate?: string;
  readonly metrics: Readonly<Record<string, unknown>>;
  readonly inputs?: readonly ManifestTensor[];
  readonly features?: readonly ManifestFeature[];
  /** The feature set that fills what a request leaves out: its name, or `name@` and the beginning of its hash. */
  readonly featureSet?: string;
  readonly outputs?: readonly ManifestTensor[];
  readonly classes?: readonly string[];
  readonly decision?: ManifestDecision;
  readonly calibration?: JsonObject;
  readonly baseline?: JsonObject;
  readonly native?: { readonly format?: string; readonly files: readonly string[] };
  readonly runtime?: ManifestRuntime;
  /** Further files of the package, relative. */
  readonly files?: readonly string[];
  /** The whole manifest, unknown members included; for the views, which show it unchanged. */
  readonly document: JsonObject;
}

export interface ManifestTensor {
  readonly name: string;
  readonly datatype?: Datatype;
  /** -1 is any size. */
  readonly shape?: readonly number[];
  /** Names of the last dimension. */
  readonly columns?: readonly string[];
}

export type FeatureValue = string | number | boolean;

/** What a request may send for one feature. */
export interface ManifestFeature {
  readonly name: string;
  readonly datatype?: Datatype;
  readonly nullable?: boolean;
  readonly min?: number;
  readonly max?: number;
  readonly allowed?: readonly FeatureValue[];
  /** Stands in for a value that nobody has; an array where one value of the feature has a shape. */
  readonly defaultValue?: unknown;
}

/** Which output means what. */
export interface ManifestDecision {
  /** Member of the answer that carries the label; "label" when absent. */
  readonly field?: string;
  readonly labelOutput?: string;
  readonly probabilityOutput?: string;
  readonly logitOutput?: string;
  readonly valueOutput?: string;
  readonly scoreOutput?: string;
  readonly positiveClass?: string;
  readonly threshold?: number;
  /** Answer the probability of every class too. */
  readonly probabilities?: boolean;
}

export interface ManifestRuntime {
  readonly devicePolicy?: 'gpu_required' | 'gpu_preferred' | 'cpu_only';
  readonly maxBatch?: number;
  readonly batchBudgetMs?: number;
  /** False: not warmed with golden samples. */
  readonly warmup?: boolean;
  /** True: loaded at the start, and never unloaded for want of memory or of use. */
  readonly keepLoaded?: boolean;
}

const TASKS = ['classification', 'regression', 'embedding', 'text-generation', 'generic'] as const;

export type Task = (typeof TASKS)[number];

/** How a version is treated: its task, or `generic` for a word that is not one of the known. */
export function effectiveTask(manifest: Manifest): Task | undefined {
  if (manifest.task === undefined) return undefined;
  return TASKS.find((task) => task === manifest.task) ?? 'generic';
}
