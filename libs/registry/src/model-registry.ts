import type { RecordChange } from '@sibyl/audit';
import type { Database } from '@sibyl/database';
import type { ModelRuntime } from '@sibyl/inference';
import type { Actor, Clock, IdSource } from '@sibyl/kernel';
import { OnnxLimits } from '@sibyl/onnx';
import type { Tensor } from '@sibyl/protocol';
import { FileAssembly, type MayTake } from './file-assembly';
import { goldenDocumentIn, goldenIn } from './golden-files';
import { ArtifactScrubber, type ScrubberParts } from './artifact-scrubber';
import type { ArtifactStore } from './artifact-store';
import { artifactStoreOf } from './bucket-artifact-store';
import { DerivedModels } from './derived-models';
import { MetricJudgement } from './metric-judgement';
import { ModelAliases } from './model-aliases';
import { ModelCatalog } from './model-catalog';
import { ModelImporter, type ImportRequest } from './model-importer';
import { ModelPolicies, type PolicyChange, type PolicyRevision } from './model-policies';
import { ModelRegistrar, type Registered, type Registration } from './model-registrar';
import { ModelValidation, type ValidationCall } from './model-validation';
import type { ModelVersion } from './model-version';
import { definedOnly } from './optional';
import { PackageReader } from './package-reader';
import { PromotionRules } from './promotion-rules';
import { RegistrationQueue } from './registration-queue';
import { ReleasedArtifacts } from './released-artifacts';
import type { RegistryOptions } from './registry-options';
import { PackageSignatures } from './signing/package-signatures';
import { SnapshotReader, type RegistrySnapshot } from './registry-snapshot';
import type { Resolve } from './sources/outgoing-guard';
import { RemoteImport } from './sources/remote-import';
import { RemoteSources } from './sources/remote-sources';
import { SourceOptions } from './sources/source-options';
import { MlflowSync, type SyncHost, type SyncParts } from './sync/mlflow-sync';
import { StartRegistrar, type StartResult } from './start-registrar';
import { rulesFrom } from './signing/signature-rules';
import { UploadedFiles, type UploadState } from './uploaded-files';
import { VersionDeletion, type LastPrediction } from './version-deletion';
import { VersionExchange, type VersionExport } from './version-exchange';
import { VersionApprovals } from './version-approvals';
import { VersionComparison } from './version-comparison';
import type { VersionDiff } from './version-diff';
import { VersionLifecycle, type VersionDecision } from './version-lifecycle';
import type { ProofReader } from './version-record';
import { VersionRegister } from './version-register';
import { VersionRetirement } from './version-retirement';
import { VersionRevalidation } from './version-revalidation';

/** A package by the digests of its files. */
interface FilesRequest {
  readonly name: string;
  readonly version?: string;
  readonly files: Readonly<Record<string, unknown>>;
  readonly may: MayTake;
  readonly call?: Registration['call'];
}

type VersionName = Pick<ModelVersion, 'model' | 'version'>;

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
  /** When a version answered last, as far as the audit log knows. */
  readonly lastPrediction?: LastPrediction;
}

/** The front desk of the registry: one object to wire, each method answered by the class that knows. */
export class ModelRegistry {
  /** What there is, page by page, and what it was. */
  readonly catalog: ModelCatalog;
  /** Promotion and rollback. */
  readonly aliases: ModelAliases;
  /** What each model asks of its versions. */
  readonly policies: ModelPolicies;
  private readonly store: ArtifactStore;
  private readonly signatures: PackageSignatures;
  private readonly derived: DerivedModels;
  private readonly snapshots: SnapshotReader;
  private readonly lifecycle: VersionLifecycle;
  private readonly retirement: VersionRetirement;
  private readonly revalidation: VersionRevalidation;
  private readonly comparison: VersionComparison;
  private readonly registrar: ModelRegistrar;
  private readonly importer: ModelImporter;
  private readonly exchange: VersionExchange;
  private readonly released: ReleasedArtifacts;
  private readonly deletion: VersionDeletion;
  private readonly uploads: UploadedFiles;
  private readonly assembly: FileAssembly;
  private readonly starter: StartRegistrar;
  private readonly onChange: (() => Promise<void>) | undefined;

  private readonly options: RegistryOptions;
  private readonly database: Database;
  private readonly clock: Clock;
  private readonly syncParts: Omit<SyncParts, 'importer'>;

  constructor(given: RegistryParts) {
    const { database, runtime, clock, ids, options, onnxLimits = new OnnxLimits(), onChange } = given;
    this.onChange = onChange;
    this.options = options;
    this.database = database;
    this.clock = clock;
    this.store = artifactStoreOf(given);
    this.derived = new DerivedModels(options, ids, onnxLimits);
    this.catalog = new ModelCatalog(database, clock, options);
    this.snapshots = new SnapshotReader(database);
    const approvals = new VersionApprovals(clock);
    this.policies = new ModelPolicies(database, clock, (tx, actor, set) => this.lifecycle.followPolicy(tx, actor, set));
    const rules = rulesFrom(database, this.policies);
    this.signatures = new PackageSignatures({ store: this.store, clock, options, ...rules });
    this.aliases = new ModelAliases(database, clock, new PromotionRules(this.policies, this.signatures));
    this.lifecycle = new VersionLifecycle(database, clock, this.policies, approvals);
    this.retirement = new VersionRetirement(database, this.policies, this.lifecycle);
    this.exchange = new VersionExchange(database, this.store, clock, options, given.proof);
    this.released = new ReleasedArtifacts(database, [this.store, this.derived], clock);
    this.deletion = new VersionDeletion(database, this.released, clock, options, given.lastPrediction);
    this.uploads = new UploadedFiles(options, clock);
    this.assembly = new FileAssembly(database, this.store, this.uploads, options);
    const parts = {
      database,
      exchange: this.exchange,
      store: this.store,
      derived: this.derived,
      reader: new PackageReader(options, onnxLimits),
      validation: new ModelValidation({
        runtime,
        clock,
        options,
        metrics: new MetricJudgement(database, this.policies),
      }),
      register: new VersionRegister(clock, options.abandonedAfterMs, this.released),
      aliases: this.aliases,
      signatures: this.signatures,
      policies: this.policies,
      approvals,
      queue: new RegistrationQueue({ atOnce: options.registrationsAtOnce, waiting: options.registrationsWaiting }),
    };
    this.registrar = new ModelRegistrar(parts);
    this.revalidation = new VersionRevalidation(parts, clock);
    const { sourceOptions = new SourceOptions(), resolve } = given;
    const sources = new RemoteSources(sourceOptions, resolve);
    this.syncParts = {
      database,
      clock,
      sources,
      catalog: this.catalog,
      // A turn of either may have to be waited for.
      leaseMs: 2 * (sourceOptions.importMs + options.validationMs),
    };
    const remote = new RemoteImport({ store: this.store, clock, sources, options, sourceOptions, onnxLimits });
    this.comparison = new VersionComparison(
      runtime,
      {
        modelFile: async (version) => this.modelFile(await this.artifactFolder(version.digest), version),
        sampleInputs: async (version) => this.sampleInputs(await this.artifactFolder(version.digest), version),
      },
      options,
    );
    this.importer = new ModelImporter(this.registrar, options.importFolders, remote, clock);
    this.starter = new StartRegistrar(this.registrar, this.store, database, this.importer);
  }

  /** Makes the content store's folders and removes what a crash left there. */
  async start(): Promise<void> {
    await this.store.start();
    await this.released.collect();
    await this.uploads.sweep();
  }

  /** What need not be sent of a file for a package of this model. */
  uploadState(model: string, sha256: string, may: MayTake): Promise<UploadState> {
    return this.assembly.state(model, sha256, may);
  }

  /** Takes a file, or the rest of one, for a package of this model. */
  receiveFile(...upload: Parameters<UploadedFiles['receive']>): Promise<UploadState> {
    return this.uploads.receive(...upload);
  }

  /** Registers a package out of files that are here already. */
  async registerFiles(
    actor: Actor,
    { name, version, files, may, call }: FilesRequest,
    record: RecordChange,
  ): Promise<Registered> {
    const folder = await this.assembly.assemble(name, files, may);
    try {
      const registered = await this.registerFolder(actor, folder, definedOnly({ name, version, call }), record);
      await this.uploads.discard(
        name,
        registered.version.files.map((file) => file.sha256),
      );
      return registered;
    } finally {
      await this.store.discard(folder);
    }
  }

  /** An empty folder for an upload's files, on the store's file system; give it back with `discard`. */
  uploadFolder(): Promise<string> {
    return this.store.uploadFolder();
  }

  discard(uploadFolder: string): Promise<void> {
    return this.store.discard(uploadFolder);
  }

  registerFolder(actor: Actor, folder: string, expect: Registration, record: RecordChange): Promise<Registered> {
    return this.told(this.registrar.registerFolder(actor, folder, expect, record));
  }

  importUri(actor: Actor, request: ImportRequest, record: RecordChange): Promise<Registered> {
    return this.told(this.importer.importUri(actor, request, record));
  }

  registerAtStart(actor: Actor, uris: readonly string[], record: RecordChange): Promise<readonly StartResult[]> {
    return this.starter.registerAtStart(actor, uris, record);
  }

  /** Lets models follow MLflow, as their policies say, in the name of this process. */
  mlflowSync(host: SyncHost): MlflowSync {
    return new MlflowSync({ ...this.syncParts, importer: this.importer }, host);
  }

  find(model: string, version: string): Promise<ModelVersion> {
    return this.catalog.find(model, version);
  }

  /** How `version` differs from `against`, each a version, an alias or `latest`. */
  async diff(model: string, version: string, against: string): Promise<VersionDiff> {
    const [to, from] = await Promise.all([this.find(model, version), this.find(model, against)]);
    return this.comparison.compare(from, to);
  }

  approve(actor: Actor, decision: VersionDecision, record: RecordChange): Promise<ModelVersion> {
    return this.told(this.lifecycle.approve(actor, decision, record));
  }

  archive(actor: Actor, decision: VersionDecision, record: RecordChange): Promise<ModelVersion> {
    return this.told(this.lifecycle.archive(actor, decision, record));
  }

  /** Gives up the bytes of a version that nobody needs; its row and history stay. */
  delete(actor: Actor, decision: VersionDecision, record: RecordChange): Promise<ModelVersion> {
    return this.told(this.deletion.delete(actor, decision, record));
  }

  /** Archives the versions that the policy no longer keeps, after a promotion. */
  async retire(model: string, record: RecordChange): Promise<void> {
    if ((await this.retirement.retire(model, record)).length > 0) await this.onChange?.();
  }

  setPolicy(actor: Actor, change: PolicyChange, record: RecordChange): Promise<PolicyRevision> {
    return this.told(this.policies.set(actor, change, record));
  }

  revalidate(
    actor: Actor,
    decision: VersionDecision,
    record: RecordChange,
    call: Omit<ValidationCall, 'scanMs'> = {},
  ): Promise<ModelVersion> {
    return this.told(this.revalidation.revalidate(actor, decision, record, call));
  }

  /** A version as one file with its whole record, to be imported elsewhere. */
  export(actor: Actor, version: VersionName, record: RecordChange): Promise<VersionExport> {
    return this.exchange.export(actor, version, record);
  }

  async snapshot(): Promise<RegistrySnapshot> {
    await this.signatures.learn();
    return this.snapshots.read();
  }

  /** The package's folder, every byte hashed again just now. */
  artifactFolder(digest: string): Promise<string> {
    return this.store.artifactFolder(digest);
  }

  /** As `artifactFolder`, but the bytes are hashed only where something has touched their files since they were last. */
  async recheckArtifact(version: ModelVersion): Promise<string> {
    return this.modelFile(await this.store.recheck(version.digest), version);
  }

  /** The file that runs for a version whose package `artifactFolder` gave: its own, or the one derived from it, every byte hashed. */
  modelFile(folder: string, version: ModelVersion): Promise<string> {
    return this.derived.modelFile(folder, version);
  }

  /** Refuses what the signature policy refuses by the keys that are trusted now: called before a version is loaded. */
  async checkSignature({ model, digest, files }: ModelVersion): Promise<void> {
    await this.signatures.checkForLoad({ model, digest, files });
  }

  /** What cannot be read where the trusted keys lie. */
  trustedKeyProblems(): Promise<readonly string[]> {
    return this.signatures.problems();
  }

  /** Inputs of a version's golden samples, out of its folder: what it can be warmed with. */
  async sampleInputs(folder: string, version: ModelVersion): Promise<readonly (readonly Tensor[])[]> {
    const { manifest, signature } = version;
    const context = { manifest, signature, limits: this.options };
    const golden = await goldenIn(folder, await goldenDocumentIn(folder, this.options), context);
    return golden?.samples.map((sample) => sample.inputs) ?? [];
  }

  /** Reads what is stored again, in the background and on demand. */
  scrubber({ log, record }: Pick<ScrubberParts, 'log' | 'record'>): ArtifactScrubber {
    const { database, clock, options, store } = this;
    return new ArtifactScrubber({ database, clock, options, store, log, record });
  }

  private async told<T>(change: Promise<T>): Promise<T> {
    const result = await change;
    await this.onChange?.();
    return result;
  }
}
