import type { EntityManager } from 'typeorm';
import type { RecordChange } from '@sibyl/audit';
import { DomainError, orStorageFull, timestamp, type Actor, type Clock } from '@sibyl/kernel';
import { featureSetChange } from './feature-set-pins';
import { rejection, summaryOf, type RegistrarParts } from './model-registrar';
import type { Validation, ValidationCall } from './model-validation';
import { isServable, type ModelVersion, type StoredStatus } from './model-version';
import { checkReason, versionNotFound } from './names';
import { concludeChange, requireModel, versionResource } from './registry-change';
import { stepBegins } from './validation-steps';
import type { VersionDecision } from './version-lifecycle';
import { versionOf, versionRow, type VersionRow } from './version-rows';

type RevalidationParts = Pick<
  RegistrarParts,
  | 'database'
  | 'store'
  | 'derived'
  | 'reader'
  | 'validation'
  | 'register'
  | 'queue'
  | 'policies'
  | 'approvals'
  | 'signatures'
>;

/** Validates versions again: after an upgrade of the runtime, or because a crash left them unfinished. */
export class VersionRevalidation {
  constructor(
    private readonly parts: RevalidationParts,
    private readonly clock: Clock,
  ) {}

  /**
   * Tries a stored version anew. A version that fails is rejected, unless an alias points at it: that one goes on serving,
   * and model_rejected tells the caller to decide. What it finds otherwise than before takes the version's approvals back.
   */
  async revalidate(
    actor: Actor,
    decision: VersionDecision,
    record: RecordChange,
    call: Omit<ValidationCall, 'scanMs'> = {},
  ): Promise<ModelVersion> {
    const reason = checkReason(decision.reason);
    const { model, version } = decision;
    const { queue } = this.parts;
    const { signal } = call;
    const validate = async (): Promise<ModelVersion> => {
      const [row, featureSet] = await this.row(decision);
      const result = await orStorageFull(() => this.validate(row, { ...call, featureSet }));
      const changed = await this.conclude(actor, row, result, { reason, record });
      if (!result.report.passed) throw rejection(result.report);
      return changed;
    };
    return queue.turn(() => queue.alone(`${model}\0${version}`, validate, signal), signal);
  }

  /** The version, and the feature set that stays with it. */
  private row({ model, version }: VersionDecision): Promise<[VersionRow, string | undefined]> {
    return this.parts.database.transaction(async (tx): Promise<[VersionRow, string | undefined]> => {
      await requireModel(tx, model);
      const row = await versionRow(tx, model, version);
      if (!row) throw versionNotFound(model, version);
      if (row.status !== 'archived') return [row, await this.keptSet(tx, row)];
      throw new DomainError(
        'version_not_servable',
        `Version ${version} of model '${model}' is archived; approve it to bring it back.`,
      );
    });
  }

  private async validate(row: VersionRow, call: Omit<ValidationCall, 'scanMs'>): Promise<Validation> {
    const { store, derived, reader, validation, signatures } = this.parts;
    const folder = await store.artifactFolder(row.digest);
    try {
      await signatures.checkStored({ model: row.model, digest: row.digest, files: row.files });
      stepBegins(call.onProgress, 'scan');
      const begun = this.clock.monotonic();
      const contents = await reader.read(folder, { name: row.model, version: row.version });
      const scanMs = this.clock.monotonic() - begun;
      const facts = { digest: row.digest, files: row.files, onnx: row.onnx, derived: row.derived ?? undefined };
      const file = await derived.modelFile(folder, facts);
      return await validation.run(contents, file, row.digest, { ...call, scanMs });
    } catch (error) {
      const refused =
        error instanceof DomainError && (error.code === 'model_rejected' || error.code === 'manifest_mismatch');
      if (!refused) throw error;
      // A scan that has grown stricter since the version came in.
      const checkedAt = timestamp(this.clock.now());
      const report = { passed: false, checkedAt, reasons: error.faults ?? [], notes: [error.detail], ignoredFiles: [] };
      return { report, signature: row.signature };
    }
  }

  /** Where the policy asks for approvals, what an alias points at goes on with the set that was approved with it. */
  private async keptSet(tx: EntityManager, row: VersionRow): Promise<string | undefined> {
    const { model, feature_set: present, aliases } = row;
    if (present === null || aliases.length === 0) return undefined;
    const { policy } = await this.parts.policies.of(tx, model);
    return policy.approvals > 0 ? present : undefined;
  }

  private async voidApprovals(tx: EntityManager, actor: Actor, before: VersionRow): Promise<void> {
    const { model } = before;
    const policy = await this.parts.policies.of(tx, model);
    const reason = 'the version was validated again with other results';
    await this.parts.approvals.void(tx, actor, versionOf(before), { policy, reason });
  }

  private conclude(
    actor: Actor,
    before: VersionRow,
    result: Validation,
    { reason, record }: { readonly reason: string; readonly record: RecordChange },
  ): Promise<ModelVersion> {
    const { model, version, digest, revision } = before;
    return this.parts.database.transaction(async (tx) => {
      await requireModel(tx, model);
      const now = await versionRow(tx, model, version);
      const same = result.report.passed && result.report.findings === before.report?.findings;
      const status = statusAfter(now ?? before, result.report.passed, same);
      if (!same) await this.voidApprovals(tx, actor, now ?? before);
      const kept = await this.keptSet(tx, now ?? before);
      const found = kept === undefined ? result : { ...result, featureSet: { reference: kept, faults: [] } };
      const changed = await this.parts.register.decide(tx, actor, { model, version, revision, status }, found);
      if (!changed)
        throw new DomainError(
          'version_conflict',
          `Version ${version} of model '${model}' was changed by somebody else meanwhile.`,
        );
      await concludeChange(tx, model, record, {
        action: 'model.validate',
        ...(result.report.passed ? {} : { status: 422 }),
        resource: versionResource(model, version),
        model: { name: model, version, digest },
        reason,
        changes: {
          status: { from: before.status, to: status },
          validation: summaryOf(result.report),
          ...featureSetChange(before.feature_set, changed),
        },
      });
      return changed;
    });
  }
}

/** Approvals stand for what was found: where that is another thing now, the version waits for them again. */
function statusAfter({ status, aliases }: VersionRow, passed: boolean, same: boolean): StoredStatus {
  if (isServable(status) && (passed || aliases.length > 0)) return same ? status : 'validated';
  return passed ? 'validated' : 'rejected';
}
