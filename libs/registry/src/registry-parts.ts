import type { Database } from '@sibyl/database';
import type { ModelRuntime } from '@sibyl/inference';
import type { Clock, IdSource } from '@sibyl/kernel';
import { OnnxLimits } from '@sibyl/onnx';
import type { FindFeatureSet } from './feature-set-pins';
import { FileAssembly } from './file-assembly';
import { sampleInputsIn } from './golden-files';
import type { ArtifactStore } from './artifact-store';
import { artifactStoreOf } from './bucket-artifact-store';
import { folderOfBucket, packagesIn } from './artifact-bucket';
import { DerivedModels } from './derived-models';
import { MetricJudgement } from './metric-judgement';
import { ModelAliases } from './model-aliases';
import { ModelCatalog } from './model-catalog';
import { ModelImporter } from './model-importer';
import { ModelPolicies } from './model-policies';
import { ModelRegistrar } from './model-registrar';
import { ModelValidation } from './model-validation';
import type { ModelVersion } from './model-version';
import { PackageReader } from './package-reader';
import { PromotionRules } from './promotion-rules';
import { RegistrationQueue } from './registration-queue';
import { ReleasedArtifacts } from './released-artifacts';
import type { RegistryOptions } from './registry-options';
import { PackageSignatures } from './signing/package-signatures';
import { SnapshotReader } from './registry-snapshot';
import type { Resolve } from './sources/outgoing-guard';
import { RemoteImport } from './sources/remote-import';
import { RemoteSources } from './sources/remote-sources';
import type { S3Place } from './sources/s3-source';
import { SourceOptions } from './sources/source-options';
import type { SyncParts } from './sync/mlflow-sync';
import { StartRegistrar } from './start-registrar';
import { rulesFrom } from './signing/signature-rules';
import { UploadedFiles } from './uploaded-files';
import { VersionDeletion, type LastPrediction } from './version-deletion';
import { VersionExchange } from './version-exchange';
import { VersionApprovals } from './version-approvals';
import { VersionComparison } from './version-comparison';
import { VersionLifecycle } from './version-lifecycle';
import type { ProofReader } from './version-record';
import { VersionRegister } from './version-register';
import { VersionRetirement } from './version-retirement';
import { VersionRevalidation } from './version-revalidation';

export interface RegistryParts {
  readonly database: Database;
  readonly runtime: ModelRuntime;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly options: RegistryOptions;
  readonly onnxLimits?: OnnxLimits;
  /** Where packages may come from beside folders; nowhere without it. */
  readonly sourceOptions?: SourceOptions;
  /** How names become addresses; the system's own way without it. */
  readonly resolve?: Resolve;
  /** Awaited after a committed change and before its caller is answered, so that what serves here knows it by then. */
  readonly onChange?: () => Promise<void>;
  /** What the audit log can prove of a version, for those that leave. */
  readonly proof?: ProofReader;
  /** Digests of what this process has loaded. */
  readonly loaded?: () => Iterable<string>;
  /** When a version answered last, as far as the audit log knows. */
  readonly lastPrediction?: LastPrediction;
  /** What is published of the feature set that a manifest names. */
  readonly featureSets?: FindFeatureSet;
}

/** Everything that the registry is made of, in the order in which one needs the other. */
export function assembleRegistry(given: RegistryParts) {
  const { database, clock, ids, options, onnxLimits = new OnnxLimits() } = given;
  const derived = new DerivedModels(options, ids, onnxLimits);
  const store = artifactStoreOf({ ...given, evicted: (digest) => derived.remove(digest) });
  const catalog = new ModelCatalog(database, clock, options);
  const approvals = new VersionApprovals(clock);
  const policies: ModelPolicies = new ModelPolicies(database, clock, (tx, actor, set) =>
    lifecycle.followPolicy(tx, actor, set),
  );
  const signatures = new PackageSignatures({ store, clock, options, ...rulesFrom(database, policies) });
  const aliases = new ModelAliases(database, clock, new PromotionRules(policies, signatures));
  const lifecycle = new VersionLifecycle(database, clock, policies, approvals, options.abandonedAfterMs);
  const exchange = new VersionExchange(database, store, clock, options, given.proof);
  const released = new ReleasedArtifacts(database, [store, derived], clock);
  const uploads = new UploadedFiles(options, clock, ids);
  const registrarParts = {
    database,
    exchange,
    store,
    derived,
    reader: new PackageReader(options, onnxLimits),
    validation: validationOf(given, policies),
    register: new VersionRegister(clock, options.abandonedAfterMs, released),
    aliases,
    signatures,
    policies,
    approvals,
    released,
    queue: new RegistrationQueue({ atOnce: options.registrationsAtOnce, waiting: options.registrationsWaiting }),
  };
  const registrar = new ModelRegistrar(registrarParts);
  const { importer, sync } = importing(given, { catalog, registrar, store });
  return {
    store,
    derived,
    catalog,
    policies,
    signatures,
    aliases,
    lifecycle,
    exchange,
    released,
    uploads,
    registrar,
    importer,
    sync,
    snapshots: new SnapshotReader(database),
    retirement: new VersionRetirement(database, policies, lifecycle),
    deletion: new VersionDeletion({
      ...{ database, released, policies, approvals, clock, options },
      lastPrediction: given.lastPrediction,
    }),
    assembly: new FileAssembly(database, store, uploads, options),
    revalidation: new VersionRevalidation(registrarParts, clock),
    comparison: comparisonOf(given, store, derived),
    starter: new StartRegistrar(registrar, store, database, importer),
  };
}

function validationOf(
  { runtime, clock, options, database, featureSets }: RegistryParts,
  policies: ModelPolicies,
): ModelValidation {
  return new ModelValidation({
    ...{ runtime, clock, options, featureSets },
    metrics: new MetricJudgement(database, policies),
  });
}

/** What fetches packages from elsewhere, and what follows an MLflow registry with it. */
function importing(
  given: RegistryParts,
  { catalog, registrar, store }: { catalog: ModelCatalog; registrar: ModelRegistrar; store: ArtifactStore },
): { readonly importer: ModelImporter; readonly sync: SyncParts } {
  const { database, clock, options, onnxLimits = new OnnxLimits(), sourceOptions = new SourceOptions() } = given;
  const sources = new RemoteSources(sourceOptions, given.resolve, reservedPlace(options));
  const remote = new RemoteImport({ store, clock, sources, options, sourceOptions, onnxLimits });
  const importer = new ModelImporter(registrar, options.importFolders, remote, clock);
  // A turn of either may have to be waited for.
  const leaseMs = 2 * (sourceOptions.importMs + options.validationMs);
  return { importer, sync: { database, clock, sources, catalog, importer, leaseMs } };
}

function comparisonOf(
  { runtime, options }: RegistryParts,
  store: ArtifactStore,
  derived: DerivedModels,
): VersionComparison {
  const golden = {
    modelFile: async (version: ModelVersion) => derived.modelFile(await store.artifactFolder(version.digest), version),
    sampleInputs: async (version: ModelVersion) =>
      sampleInputsIn(await store.artifactFolder(version.digest), version, options),
  };
  return new VersionComparison(runtime, golden, options);
}

/** Where the store keeps packages: what lies there belongs to models that a caller may not read. */
function reservedPlace({ artifactBucket: bucket, artifactPrefix }: RegistryOptions): S3Place | undefined {
  return bucket === undefined ? undefined : { bucket, prefix: packagesIn(folderOfBucket(artifactPrefix)) };
}
