import type { RecordChange } from '@sibyl/audit';
import type { Actor } from '@sibyl/kernel';
import type { Tensor } from '@sibyl/protocol';
import type { MayTake } from './file-assembly';
import { sampleInputsIn } from './golden-files';
import { ArtifactScrubber, type ScrubberParts } from './artifact-scrubber';
import { ModelAliases } from './model-aliases';
import { ModelCatalog } from './model-catalog';
import type { ImportRequest } from './model-importer';
import { ModelPolicies, type PolicyApproval, type PolicyChange } from './model-policies';
import type { Registered, Registration } from './model-registrar';
import type { ValidationCall } from './model-validation';
import type { ModelVersion } from './model-version';
import { definedOnly } from './optional';
import type { PolicyRevision } from './policy-revision';
import { assembleRegistry, type RegistryParts } from './registry-parts';
import type { RegistrySnapshot } from './registry-snapshot';
import { MlflowSync, type SyncHost } from './sync/mlflow-sync';
import type { StartResult } from './start-registrar';
import { UploadedFiles, type UploadState } from './uploaded-files';
import type { VersionExport } from './version-exchange';
import type { VersionDiff } from './version-diff';
import type { VersionDecision } from './version-lifecycle';

/** A package by the digests of its files. */
interface FilesRequest {
  readonly name: string;
  readonly version?: string;
  readonly files: Readonly<Record<string, unknown>>;
  readonly may: MayTake;
  readonly call?: Registration['call'];
}

type VersionName = Pick<ModelVersion, 'model' | 'version'>;

/** The front desk of the registry: one object to wire, each method answered by the class that knows. */
export class ModelRegistry {
  /** What there is, page by page, and what it was. */
  readonly catalog: ModelCatalog;
  /** Promotion and rollback. */
  readonly aliases: ModelAliases;
  /** What each model asks of its versions. */
  readonly policies: ModelPolicies;
  private readonly desks: ReturnType<typeof assembleRegistry>;

  constructor(private readonly given: RegistryParts) {
    this.desks = assembleRegistry(given);
    this.catalog = this.desks.catalog;
    this.aliases = this.desks.aliases;
    this.policies = this.desks.policies;
  }

  /** Makes the content store's folders and removes what a crash left there. */
  async start(): Promise<void> {
    await this.desks.store.start();
    await this.desks.released.collect();
    await this.desks.uploads.sweep();
  }

  /** What need not be sent of a file for a package of this model. */
  uploadState(model: string, sha256: string, may: MayTake): Promise<UploadState> {
    return this.desks.assembly.state(model, sha256, may);
  }

  /** Takes a file, or the rest of one, for a package of this model. */
  receiveFile(...upload: Parameters<UploadedFiles['receive']>): Promise<UploadState> {
    return this.desks.uploads.receive(...upload);
  }

  /** Gives back what was sent of a file for a package of this model. */
  giveBackFile(model: string, sha256: string): Promise<UploadState> {
    return this.desks.uploads.giveBack(model, sha256);
  }

  /** Registers a package out of files that are here already. */
  async registerFiles(
    actor: Actor,
    { name, version, files, may, call }: FilesRequest,
    record: RecordChange,
  ): Promise<Registered> {
    const folder = await this.desks.assembly.assemble(name, files, may);
    try {
      const registered = await this.registerFolder(actor, folder, definedOnly({ name, version, call }), record);
      await this.desks.uploads.discard(
        name,
        registered.version.files.map((file) => file.sha256),
      );
      return registered;
    } finally {
      await this.desks.store.discard(folder);
    }
  }

  /** An empty folder for an upload's files, on the store's file system; give it back with `discard`. */
  uploadFolder(): Promise<string> {
    return this.desks.store.uploadFolder();
  }

  discard(uploadFolder: string): Promise<void> {
    return this.desks.store.discard(uploadFolder);
  }

  registerFolder(actor: Actor, folder: string, expect: Registration, record: RecordChange): Promise<Registered> {
    return this.told(this.desks.registrar.registerFolder(actor, folder, expect, record));
  }

  importUri(actor: Actor, request: ImportRequest, record: RecordChange): Promise<Registered> {
    return this.told(this.desks.importer.importUri(actor, request, record));
  }

  registerAtStart(actor: Actor, uris: readonly string[], record: RecordChange): Promise<readonly StartResult[]> {
    return this.desks.starter.registerAtStart(actor, uris, record);
  }

  /** Lets models follow MLflow, as their policies say, in the name of this process. */
  mlflowSync(host: SyncHost): MlflowSync {
    return new MlflowSync(this.desks.sync, host);
  }

  find(model: string, version: string): Promise<ModelVersion> {
    return this.catalog.find(model, version);
  }

  /** How `version` differs from `against`, each a version, an alias or `latest`. */
  async diff(model: string, version: string, against: string): Promise<VersionDiff> {
    const [to, from] = await Promise.all([this.find(model, version), this.find(model, against)]);
    return this.desks.comparison.compare(from, to);
  }

  approve(actor: Actor, decision: VersionDecision, record: RecordChange): Promise<ModelVersion> {
    return this.told(this.desks.lifecycle.approve(actor, decision, record));
  }

  archive(actor: Actor, decision: VersionDecision, record: RecordChange): Promise<ModelVersion> {
    return this.told(this.desks.lifecycle.archive(actor, decision, record));
  }

  /** Gives up the bytes of a version that nobody needs; its row and history stay. */
  delete(actor: Actor, decision: VersionDecision, record: RecordChange): Promise<ModelVersion> {
    return this.told(this.desks.deletion.delete(actor, decision, record));
  }

  /** Archives the versions that the policy no longer keeps, after a promotion. */
  async retire(model: string, record: RecordChange): Promise<void> {
    if ((await this.desks.retirement.retire(model, record)).length > 0) await this.given.onChange?.();
  }

  async setPolicy(actor: Actor, change: PolicyChange, record: RecordChange): Promise<PolicyRevision> {
    const { sync } = change.policy;
    // Nobody would ever ask anything for it.
    if (sync && sync.registryUri === undefined) this.desks.sync.sources.requireMlflow('/sync/registry_uri');
    return this.told(this.policies.set(actor, change, record));
  }

  /** Approves the weaker policy that was proposed. */
  approvePolicy(actor: Actor, approval: PolicyApproval, record: RecordChange): Promise<PolicyRevision> {
    return this.told(this.policies.approve(actor, approval, record));
  }

  revalidate(
    actor: Actor,
    decision: VersionDecision,
    record: RecordChange,
    call: Omit<ValidationCall, 'scanMs'> = {},
  ): Promise<ModelVersion> {
    return this.told(this.desks.revalidation.revalidate(actor, decision, record, call));
  }

  /** A version as one file with its whole record, to be imported elsewhere. */
  export(actor: Actor, version: VersionName, record: RecordChange): Promise<VersionExport> {
    return this.desks.exchange.export(actor, version, record);
  }

  async snapshot(): Promise<RegistrySnapshot> {
    const [snapshot] = await Promise.all([this.desks.snapshots.read(), this.desks.signatures.learn()]);
    return snapshot;
  }

  /** The package's folder, every byte hashed again just now. */
  artifactFolder(digest: string): Promise<string> {
    return this.desks.store.artifactFolder(digest);
  }

  /** As `artifactFolder`, but the bytes are hashed only where something has touched their files since they were last. */
  async recheckArtifact(version: ModelVersion): Promise<string> {
    return this.modelFile(await this.desks.store.recheck(version.digest), version);
  }

  /** The file that runs for a version whose package `artifactFolder` gave: its own, or the one derived from it, every byte hashed. */
  modelFile(folder: string, version: ModelVersion): Promise<string> {
    return this.desks.derived.modelFile(folder, version);
  }

  /** Refuses what the signature policy refuses by the keys that are trusted now: called before a version is loaded. */
  async checkSignature(version: ModelVersion): Promise<void> {
    await this.desks.signatures.checkForLoad(version);
  }

  /** By what that would judge at present: another text where keys or policies have changed. */
  signatureTrust(version: ModelVersion): Promise<string> {
    return this.desks.signatures.trust(version.model);
  }

  /** What cannot be read where the trusted keys lie. */
  trustedKeyProblems(): Promise<readonly string[]> {
    return this.desks.signatures.problems();
  }

  /** Inputs of a version's golden samples, out of its folder: what it can be warmed with. */
  sampleInputs(folder: string, version: ModelVersion): Promise<readonly (readonly Tensor[])[]> {
    return sampleInputsIn(folder, version, this.given.options);
  }

  /** Reads what is stored again, in the background and on demand. */
  scrubber({ log, record }: Pick<ScrubberParts, 'log' | 'record'>): ArtifactScrubber {
    const { database, clock, options } = this.given;
    return new ArtifactScrubber({ database, clock, options, store: this.desks.store, log, record });
  }

  private async told<T>(change: Promise<T>): Promise<T> {
    const result = await change;
    await this.given.onChange?.();
    return result;
  }
}
