import type { EntityManager } from 'typeorm';
import type { RecordChange } from '@sibyl/audit';
import type { Database } from '@sibyl/database';
import { DomainError, orStorageFull, type Actor } from '@sibyl/kernel';
import type { ArtifactStore } from './artifact-store';
import { derivedRecord } from './derived-model';
import type { DerivedModels } from './derived-models';
import { featureSetChange } from './feature-set-pins';
import type { ExpectedIdentity } from './manifest-reader';
import type { ModelAliases } from './model-aliases';
import type { ModelPolicies } from './model-policies';
import type { ModelValidation, Validation, ValidationCall } from './model-validation';
import type { ModelVersion, ValidationReport } from './model-version';
import { PRODUCTION } from './names';
import type { PackageReader } from './package-reader';
import { openSource } from './package-source';
import type { RegistrationQueue } from './registration-queue';
import { announce, concludeChange, lockModel, versionResource } from './registry-change';
import type { ReleasedArtifacts } from './released-artifacts';
import type { PackageSignatures } from './signing/package-signatures';
import { auditedSignature } from './signing/signature-policy';
import type { VersionSource } from './sources/remote-package';
import type { StagedPackage } from './staged-package';
import { stepBegins } from './validation-steps';
import type { OpenedPackage, VersionExchange, VersionOrigin } from './version-exchange';
import { refused } from './version-file';
import type { Candidate, VersionRegister } from './version-register';
import type { VersionApprovals } from './version-approvals';
import { versionOf, versionRow } from './version-rows';

export interface RegistrarParts {
  readonly database: Database;
  readonly store: ArtifactStore;
  readonly derived: DerivedModels;
  readonly reader: PackageReader;
  readonly validation: ModelValidation;
  readonly register: VersionRegister;
  readonly aliases: ModelAliases;
  readonly policies: ModelPolicies;
  readonly approvals: VersionApprovals;
  readonly queue: RegistrationQueue;
  readonly exchange: VersionExchange;
  readonly signatures: PackageSignatures;
  readonly released: ReleasedArtifacts;
}

export interface Registration extends ExpectedIdentity {
  /** The ONNX or version file, where the folder has several. */
  readonly model?: string;
  /** Gives `production` to the version if it is the first valid one of its model. */
  readonly aliasFirst?: boolean;
  /** Where the folder's files were fetched from. */
  readonly source?: VersionSource;
  readonly call?: Omit<ValidationCall, 'scanMs'>;
}

export interface Registered {
  readonly version: ModelVersion;
  /** False where the same bytes were registered under this version before. */
  readonly created: boolean;
}

/** How a candidate is admitted. */
interface Admission {
  readonly record: RecordChange;
  readonly aliasFirst: boolean;
  readonly origin: VersionOrigin | undefined;
  readonly call: Registration['call'];
}

/** Takes packages in: scan, store, trial, replay, and one transaction that says how it ended. */
export class ModelRegistrar {
  constructor(private readonly parts: RegistrarParts) {}

  /**
   * Registers the package in `folder`, which stays as it is. Throws model_rejected with the reasons when the version failed its
   * validation; the row with its report and the audit event are then committed all the same.
   */
  async registerFolder(actor: Actor, folder: string, expect: Registration, record: RecordChange): Promise<Registered> {
    const { queue, exchange } = this.parts;
    const register = async (): Promise<Registered> => {
      const opened = await exchange.open(folder, expect);
      try {
        return await this.take(actor, opened, expect, record);
      } finally {
        await opened.close();
      }
    };
    return queue.turn(() => orStorageFull(register), expect.call?.signal);
  }

  private async take(
    actor: Actor,
    opened: OpenedPackage,
    { model, aliasFirst = false, call, source: from }: Registration,
    record: RecordChange,
  ): Promise<Registered> {
    const { queue, store, reader, signatures } = this.parts;
    const { folder, origin, identity } = opened;
    const source = await openSource(folder, origin === undefined ? model : undefined);
    const staged = await store.stage();
    try {
      stepBegins(call?.onProgress, 'scan');
      const begun = performance.now();
      const contents = await reader.stage(source, identity, staged);
      const scanMs = performance.now() - begun;
      if (origin !== undefined && origin.digest !== staged.digest) throw refused('files that belong to no package');
      const { name, version } = contents.manifest;
      const { folder: staging, files, digest } = staged;
      const { unsignedFiles } = contents;
      const signed = await signatures.checkIncoming({ model: name, folder: staging, files, unsignedFiles });
      const candidate: Candidate = { actor, contents, digest, files, signed, scanMs, source: from };
      const how: Admission = { record, aliasFirst, origin, call };
      return await queue.alone(`${name}\0${version}`, () => this.admit(candidate, staged, how), call?.signal);
    } finally {
      await store.abandon(staged);
    }
  }

  private async admit(candidate: Candidate, staged: StagedPackage, how: Admission): Promise<Registered> {
    const { store, database, register, validation } = this.parts;
    const { name } = candidate.contents.manifest;
    // The row comes first: bytes that conflict with it never reach the store, and a crash in between leaves a row that the
    // same bytes complete when they come again.
    const begun = await database.transaction(async (tx) => {
      const result = await register.begin(tx, candidate);
      if (!result.known) await announce(tx, name);
      return result;
    });
    if (begun.known?.deletion !== undefined) return { version: begun.known, created: false };
    // Known bytes are stored again too, which mends a copy that was damaged.
    await store.commit(staged, how.call?.signal);
    if (begun.known) return { version: begun.known, created: false };
    const folder = await store.artifactFolder(candidate.digest);
    const { contents, digest, files, scanMs } = candidate;
    const file = await this.parts.derived.modelFile(folder, { ...contents, digest, files });
    const result = await validation.run(contents, file, digest, { ...how.call, scanMs });
    try {
      return await this.decide(candidate, begun.revision, result, how);
    } finally {
      // The bytes of a rejected version that this one has replaced. What cannot go now does so with the next look.
      if (begun.released) await this.parts.released.collect().catch(() => undefined);
    }
  }

  private async decide(
    candidate: Candidate,
    revision: number,
    result: Validation,
    { record, aliasFirst, origin }: Admission,
  ): Promise<Registered> {
    const { database, register, exchange } = this.parts;
    const { name, version } = candidate.contents.manifest;
    const registered = await database.transaction(async (tx): Promise<Registered> => {
      await lockModel(tx, name);
      const status = result.report.passed ? 'validated' : 'rejected';
      const decided = await register.decide(tx, candidate.actor, { model: name, version, revision, status }, result);
      if (!decided) return { version: await decidedElsewhere(tx, candidate), created: false };
      // A rejected version may come again with other bytes, and from elsewhere; its event names the record.
      if (origin !== undefined && result.report.passed) await exchange.keep(tx, candidate.actor, decided, origin);
      const alias = aliasFirst && canServe(candidate, result) ? await this.aliasFirst(tx, candidate) : undefined;
      await concludeChange(tx, name, record, {
        action: 'model.register',
        ...(result.report.passed ? {} : { status: 422 }),
        resource: versionResource(name, version),
        model: { name, version, digest: candidate.digest, ...(alias ? { alias } : {}) },
        changes: {
          status: { from: null, to: decided.status },
          validation: summaryOf(result.report),
          ...featureSetChange(null, decided),
          ...auditedSignature(candidate.signed),
          ...(candidate.contents.derived ? { derived: derivedRecord(candidate.contents.derived) } : {}),
          ...(alias ? { alias } : {}),
          ...(origin ? { origin: { record_sha256: origin.sha256 } } : {}),
          ...(candidate.source ? { source: sourceSummary(candidate.source) } : {}),
        },
      });
      return { version: alias ? { ...decided, status: 'active', aliases: [alias] } : decided, created: true };
    });
    if (registered.version.status === 'rejected') throw rejection(registered.version.report);
    return registered;
  }

  private async aliasFirst(tx: EntityManager, { actor, contents }: Candidate): Promise<string | undefined> {
    const { name: model, version } = contents.manifest;
    const others = await tx.query<unknown[]>(
      'SELECT 1 FROM registry.model_version WHERE model = $1 AND version <> $2 AND validated_at IS NOT NULL LIMIT 1',
      [model, version],
    );
    if (others.length > 0) return undefined;
    const first = { model, alias: PRODUCTION, version, reason: 'the first valid version of its model' };
    return (await this.parts.aliases.createFirst(tx, actor, first))?.alias;
  }
}

/** What has no features to predict from yet is promoted when it has. */
function canServe({ contents }: Candidate, { report, featureSet }: Validation): boolean {
  return report.passed && (contents.manifest.featureSet === undefined || featureSet?.faults.length === 0);
}

/** Of two processes that tried the same bytes, one has decided: its answer is everybody's. */
async function decidedElsewhere(tx: EntityManager, { contents, digest }: Candidate): Promise<ModelVersion> {
  const { name, version } = contents.manifest;
  const row = await versionRow(tx, name, version);
  if (row && row.digest === digest && row.status !== 'registered' && row.report !== null) return versionOf(row);
  throw new DomainError(
    'version_conflict',
    `Version ${version} of model '${name}' was registered by somebody else meanwhile.`,
  );
}

/** What an audit event keeps of a report. */
export function summaryOf(report: ValidationReport): Record<string, unknown> {
  const { passed, golden, reasons, trial, steps = [], findings, policyRevision } = report;
  return {
    passed,
    steps: Object.fromEntries(steps.map((step) => [step.name, step.passed ?? 'skipped'])),
    ...(findings === undefined ? {} : { findings }),
    ...(policyRevision === undefined ? {} : { policy_revision: policyRevision }),
    golden_samples: golden?.compared ?? 0,
    golden_misses: golden?.missCount ?? 0,
    ...(trial ? { provider: trial.provider, batchable: trial.rowsIndependent === true } : {}),
    ...(reasons.length ? { reasons: reasons.slice(0, REASONS_AUDITED) } : {}),
  };
}

function sourceSummary({ uri, resolvedUri }: VersionSource): Record<string, unknown> {
  return { uri, ...(resolvedUri === undefined || resolvedUri === uri ? {} : { resolved_uri: resolvedUri }) };
}

const REASONS_AUDITED = 10;

/** model_rejected with what the report says. */
export function rejection(report: ValidationReport | undefined): DomainError {
  const misses = report?.golden?.missCount ?? 0;
  const detail =
    misses > 0 ? `${misses} values differ from the golden samples.` : 'The model did not pass its validation.';
  return new DomainError('model_rejected', detail, { faults: report?.reasons ?? [] });
}
