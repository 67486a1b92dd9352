export { ModelRegistry } from './model-registry';
export type { RegistryParts } from './registry-parts';
export { RegistryOptions } from './registry-options';
export { registryMigrations } from './migrations';
export { REGISTRY_CHANNEL } from './registry-change';
export {
  isServable,
  type Approval,
  type ModelVersion,
  type TrialFacts,
  type ValidationReport,
  type VersionStatus,
} from './model-version';
export {
  effectiveTask,
  type FeatureValue,
  type Manifest,
  type ManifestDecision,
  type ManifestFeature,
  type ManifestRuntime,
  type ManifestTensor,
  type Task,
} from './manifest';
export { zipMapClasses, type DerivedModel } from './derived-model';
export type { GoldenMiss, Tolerance } from './golden';
export type { AliasEvent, GivenApproval } from './alias-event';
export {
  pinFeatureSet,
  type FeatureNeeds,
  type FeatureSetPin,
  type FindFeatureSet,
  type FoundFeatureSet,
} from './feature-set-pins';
export { featureSetsInService, type FeatureSetUse } from './feature-set-uses';
export { ModelAliases, type AliasMove, type AliasRollback } from './model-aliases';
export type { Precondition } from './etag';
export type { VersionDecision } from './version-lifecycle';
export { ModelPolicy, POLICY_ENTRIES } from './model-policy';
export { readRules, ruleText } from './metric-rule';
export type { PolicyChange } from './model-policies';
export type { PolicyProposal, PolicyRevision } from './policy-revision';
export { ModelCatalog, type VersionFilter } from './model-catalog';
export type { ImportRequest } from './model-importer';
export type { Registered, Registration } from './model-registrar';
export type { StartResult } from './start-registrar';
export type { RegistrySnapshot, SnapshotAlias, SnapshotModel } from './registry-snapshot';
export { SIGNATURE_POLICIES, type SignaturePolicy, type SignatureRecord } from './signing/signature-policy';
export type { OnProgress } from './progress';
export type { PackageDigest, PackageFile } from './package-digest';
export type { Page, PageRequest } from './page';
export type { UploadRange, UploadState } from './uploaded-files';
export { sha256Of } from './uploaded-files';
export { ArtifactScrubber, type ArtifactFinding } from './artifact-scrubber';
export { VERSION_FILE_TYPE } from './version-file';
export type { VersionExport } from './version-exchange';
export { packagePath, parentsOf } from './package-path';
export { checkModelName, modelNameFault, PRODUCTION, versionFault } from './names';
export type { Changed, NamedChanges, VersionDiff } from './version-diff';
export type { CallerFeature, CallerInput } from './caller-contract';
export { SourceOptions } from './sources/source-options';
export type { VersionSource } from './sources/remote-package';
export type { MlflowSync, SyncHost, SyncResult } from './sync/mlflow-sync';
export { readSync, type SyncRule } from './sync/sync-rule';
export type { SyncStatus } from './sync/sync-state';
