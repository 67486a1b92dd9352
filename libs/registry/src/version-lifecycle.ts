import type { EntityManager } from 'typeorm';
import type { RecordChange } from '@sibyl/audit';
import type { Database } from '@sibyl/database';
import { DomainError, invariant, timestamp, type Actor, type Clock } from '@sibyl/kernel';
import type { ModelVersion, StoredStatus } from './model-version';
import type { ModelPolicies } from './model-policies';
import { checkReason, versionNotFound } from './names';
import { ONE_PERSON, samePerson } from './person';
import type { PolicyRevision } from './policy-revision';
import { concludeChange, requireModel, versionResource } from './registry-change';
import { refuseUnderway } from './validation-underway';
import { approvedEnough, type Grounds, type VersionApprovals } from './version-approvals';
import { VERSION_COLUMNS, versionOf, versionRow, type VersionRow } from './version-rows';

export interface VersionDecision {
  readonly model: string;
  readonly version: string;
  readonly reason: string;
}

/** Approves and archives versions. */
export class VersionLifecycle {
  constructor(
    private readonly database: Database,
    readonly clock: Clock,
    private readonly policies: ModelPolicies,
    private readonly approvals: VersionApprovals,
    readonly abandonedAfterMs: number,
  ) {}

  /**
   * Approves a version whose last validation passed, an archived one too. It is `approved` once as many persons stood up for it as
   * its policy asks for; until then it stays `archived`, or is `validated`.
   */
  approve(actor: Actor, decision: VersionDecision, record: RecordChange): Promise<ModelVersion> {
    return this.decide('model.approve', { actor, ...decision }, record, async (tx, version, { policy, reason }) => {
      if (version.deletion !== undefined) throw notServable(version, 'its bytes were deleted, and can be sent again');
      if (version.report?.passed !== true || version.status === 'registered')
        throw notServable(version, 'it did not pass its validation');
      if (policy.policy.approvals > 0 && samePerson(version.registeredBy, actor))
        throw new DomainError(
          'policy_forbidden',
          `The policy of model '${version.model}' asks for the approval of somebody else than who registered the version. ${ONE_PERSON}`,
        );
      const approvals = await this.approvals.approve(tx, actor, version, { policy, reason });
      if (approvedEnough(policy.policy, approvals, version.registeredBy)) return 'approved';
      // As long as it lacks one, nothing brings back what somebody took out of use: a rollback asks for no approvals.
      return version.status === 'archived' ? 'archived' : 'validated';
    });
  }

  /** Takes a version out of use, and its approvals back; in_use while an alias points at it, or it is being validated. */
  archive(actor: Actor, decision: VersionDecision, record: RecordChange): Promise<ModelVersion> {
    return this.decide(
      'model.archive',
      { actor, ...decision },
      record,
      async (tx, version, { policy, reason, row }) => {
        refuseUnderway(row, this);
        if (version.aliases.length > 0) {
          const aliases = version.aliases.map((alias) => `'${alias}'`).join(', ');
          const detail = `Version ${version.version} of model '${version.model}' is in use by the alias ${aliases}.`;
          throw new DomainError('in_use', detail);
        }
        await this.approvals.void(tx, actor, version, { policy, reason });
        return 'archived';
      },
    );
  }

  /** Holds the versions that may serve to a policy that was just set: part of its transaction. */
  async followPolicy(tx: EntityManager, actor: Actor, { model, policy }: PolicyRevision): Promise<void> {
    // Where none is asked for, an approval is whatever somebody said.
    if (policy.approvals === 0) return;
    const rows = await tx.query<VersionRow[]>(
      `SELECT ${VERSION_COLUMNS} FROM registry.model_version v WHERE v.model = $1 AND v.status IN ('validated', 'approved')`,
      [model],
    );
    for (const row of rows) {
      const version = versionOf(row);
      const enough = approvedEnough(policy, version.approvals, version.registeredBy);
      const status = enough ? 'approved' : 'validated';
      if (status !== row.status) await this.setStatus(tx, actor, version, status);
    }
  }

  private async decide(
    action: string,
    decision: VersionDecision & { readonly actor: Actor },
    record: RecordChange,
    judge: (
      tx: EntityManager,
      version: ModelVersion,
      by: Grounds & { readonly row: VersionRow },
    ) => Promise<StoredStatus>,
  ): Promise<ModelVersion> {
    const reason = checkReason(decision.reason);
    const { model, actor } = decision;
    return this.database.transaction(async (tx) => {
      await requireModel(tx, model);
      const row = await versionRow(tx, model, decision.version);
      const before = row && versionOf(row);
      if (!row || !before) throw versionNotFound(model, decision.version);
      const policy = await this.policies.of(tx, model);
      const status = await judge(tx, before, { policy, reason, row });
      // Also where only the number of its approvals has changed, which its ETag stands for too.
      const changed =
        row.status === status && action !== 'model.approve' ? before : await this.setStatus(tx, actor, before, status);
      await concludeChange(tx, model, record, {
        action,
        resource: versionResource(model, before.version),
        model: { name: model, version: before.version, digest: before.digest },
        reason,
        changes: {
          status: { from: row.status, to: status },
          ...(policy.revision > 0 ? { policy_revision: policy.revision } : {}),
        },
      });
      return changed;
    });
  }

  private async setStatus(
    tx: EntityManager,
    actor: Actor,
    version: ModelVersion,
    status: StoredStatus,
  ): Promise<ModelVersion> {
    const rows = await tx.query<VersionRow[]>(
      `WITH v AS (UPDATE registry.model_version SET status = $3, changed_at = $4, changed_by = $5, revision = revision + 1
         WHERE model = $1 AND version = $2 RETURNING *)
       SELECT ${VERSION_COLUMNS} FROM v`,
      [version.model, version.version, status, timestamp(this.clock.now()), JSON.stringify(actor)],
    );
    const [row] = rows;
    invariant(row, 'a locked version is there');
    return versionOf(row);
  }
}

function notServable(version: ModelVersion, why: string): DomainError {
  return new DomainError(
    'version_not_servable',
    `Version ${version.version} of model '${version.model}' is ${version.status}: ${why}.`,
  );
}
