import type { Actor, FieldFault } from '@sibyl/kernel';
import type { BatchFigures } from '@sibyl/inference';
import type { OnnxModel } from '@sibyl/onnx';
import type { ModelSignature, TensorSpec } from '@sibyl/protocol';
import type { DerivedModel } from './derived-model';
import type { GoldenResult } from './golden-compare';
import type { Tolerance } from './golden';
import type { Manifest } from './manifest';
import type { SignatureRecord } from './signing/signature-policy';
import type { PackageDigest, PackageFile } from './package-digest';
import type { VersionSource } from './sources/remote-package';

/** What is stored of a version's way; `active` is derived: an alias points at it. */
export type StoredStatus = 'registered' | 'validated' | 'rejected' | 'approved' | 'archived';
export type VersionStatus = StoredStatus | 'active';

/** One version of a model: what it is made of never changes once it was validated. */
export interface ModelVersion {
  readonly model: string;
  readonly version: string;
  readonly status: VersionStatus;
  readonly digest: PackageDigest;
  readonly manifest: Manifest;
  /** Of the file that runs; output shapes as the trial showed them where the file's are too narrow. */
  readonly signature: ModelSignature;
  readonly onnx: OnnxModel;
  readonly files: readonly PackageFile[];
  /** The file that runs, where the one of the package had to be rewritten for that. */
  readonly derived?: DerivedModel;
  /** The version of the feature set that its manifest names, `name@sha256:...`; absent where no such set was found yet. */
  readonly featureSet?: string;
  readonly report?: ValidationReport;
  /** What was last found of its package's signature; absent for versions from before signatures were checked. */
  readonly packageSignature?: SignatureRecord;
  readonly aliases: readonly string[];
  /** Its bytes were deleted; all else is kept. */
  readonly deletion?: Deletion;
  /** What the last look at its stored bytes found; absent before the first. */
  readonly artifact?: ArtifactCheck;
  /** Where its bytes came from, if they did not come with the request. */
  readonly source?: VersionSource;
  /** Approvals that hold: of these bytes, and given since whatever ended those before. */
  readonly approvals: readonly Approval[];
  /** Rises with each registration: `latest` is the servable version with the highest. */
  readonly arrival: number;
  readonly registeredBy: Actor;
  /** RFC 3339, as all times here. */
  readonly registeredAt: string;
  readonly validatedAt?: string;
  readonly changedAt: string;
  /** Who decided its present status. */
  readonly changedBy: Actor;
  /** Rises with each change of the row. */
  readonly revision: number;
}

export interface ArtifactCheck {
  readonly intact: boolean;
  readonly checkedAt: string;
}

/** When, by whom and why the bytes of a version were deleted. */
export interface Deletion {
  readonly at: string;
  readonly actor: Actor;
  readonly reason: string;
}

/** Somebody stood up for these bytes. */
export interface Approval {
  readonly actor: Actor;
  readonly at: string;
  readonly reason: string;
  readonly digest: PackageDigest;
  /** Of the policy that was in force. */
  readonly policyRevision: number;
}

/** What validation found; stored with the version and shown. */
export interface ValidationReport {
  readonly passed: boolean;
  readonly checkedAt: string;
  /** Why it did not pass; empty otherwise. */
  readonly reasons: readonly FieldFault[];
  /** What a reader should know though nothing is wrong, such as that there were no golden samples. */
  readonly notes: readonly string[];
  readonly trial?: TrialFacts;
  readonly golden?: GoldenResult & { readonly source?: string; readonly tolerance: Tolerance };
  /** What was done, in its order; absent in reports from before it was kept. */
  readonly steps?: readonly ValidationStep[];
  /** Digest of what the model was found to be: two validations with the same one say the same of it. */
  readonly findings?: string;
  /** Of the policy whose rules the metrics were held to; 0 where none was set. */
  readonly policyRevision?: number;
  /** Files of the folder that do not belong to a package and were not taken. */
  readonly ignoredFiles: readonly string[];
}

export type StepName = 'scan' | 'load' | 'signature' | 'golden' | 'determinism' | 'rows' | 'latency' | 'metrics';

export interface ValidationStep {
  readonly name: StepName;
  /** Absent where it was not done. */
  readonly passed?: boolean;
  /** Why it was not done. */
  readonly skipped?: string;
  readonly durationMs: number;
}

export interface TrialFacts {
  readonly provider: string;
  readonly loadMs: number;
  /** Processor time of the load; absent in reports from before it was measured. */
  readonly loadCpuMs?: number;
  readonly memoryBytes: number;
  /** Median milliseconds of a sample's run; absent without samples. */
  readonly medianRunMs?: number;
  /** Outputs as they really came; -1 where sizes differed between samples. */
  readonly observedOutputs: readonly TensorSpec[];
  /** Whether rows were found to be answered alike alone and among others; absent where that could not be tried. */
  readonly rowsIndependent?: boolean;
  /** Whether it computes a run without a single row; absent where its first dimension is none of rows. */
  readonly answersNoRows?: boolean;
  /** Whether the same input was answered with the same bytes; absent where that could not be tried. */
  readonly deterministic?: boolean;
  /** What batches of some sizes took. */
  readonly batches?: readonly BatchFigures[];
}

/** Whether a version of this status may answer requests. */
export function isServable(status: VersionStatus): boolean {
  return status === 'validated' || status === 'approved' || status === 'active';
}
