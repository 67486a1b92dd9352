import type { EntityManager } from 'typeorm';
import type { RecordChange } from '@sibyl/audit';
import type { Database } from '@sibyl/database';
import { DomainError, invariant, timestamp, type Actor, type Clock } from '@sibyl/kernel';
import { requireModel } from './model-aliases';
import type { ModelVersion, StoredStatus } from './model-version';
import { checkReason, lookupName, versionNotFound } from './names';
import { concludeChange, versionResource } from './registry-change';
import { VERSION_COLUMNS, versionOf, type VersionRow } from './version-rows';

export interface VersionDecision {
  readonly model: string;
  readonly version: string;
  readonly reason: string;
}

/** Approves and archives versions. */
export class VersionLifecycle {
  constructor(
    private readonly database: Database,
    private readonly clock: Clock,
  ) {}

  /** Approves a version whose last validation passed, an archived one too. */
  approve(actor: Actor, decision: VersionDecision, record: RecordChange): Promise<ModelVersion> {
    return this.decide('approved', { actor, ...decision }, record, (version) => {
      if (version.deletion !== undefined) throw notServable(version, 'its bytes were deleted, and can be sent again');
      if (version.report?.passed === true && version.status !== 'registered') return;
      throw notServable(version, 'it did not pass its validation');
    });
  }

  /** Takes a version out of use for good; in_use while an alias points at it. */
  archive(actor: Actor, decision: VersionDecision, record: RecordChange): Promise<ModelVersion> {
    return this.decide('archived', { actor, ...decision }, record, (version) => {
      if (version.aliases.length === 0) return;
      const aliases = version.aliases.map((alias) => `'${alias}'`).join(', ');
      throw new DomainError(
        'in_use',
        `Version ${version.version} of model '${version.model}' is in use by the alias ${aliases}.`,
      );
    });
  }

  private async decide(
    status: StoredStatus,
    decision: VersionDecision & { readonly actor: Actor },
    record: RecordChange,
    check: (version: ModelVersion) => void,
  ): Promise<ModelVersion> {
    const reason = checkReason(decision.reason);
    const { model } = decision;
    return this.database.transaction(async (tx) => {
      await requireModel(tx, model);
      const row = await versionRow(tx, model, decision.version);
      const before = row && versionOf(row);
      if (!row || !before) throw versionNotFound(model, decision.version);
      check(before);
      const changed = row.status === status ? before : await this.setStatus(tx, decision.actor, before, status);
      await concludeChange(tx, model, record, {
        action: status === 'approved' ? 'model.approve' : 'model.archive',
        resource: versionResource(model, before.version),
        model: { name: model, version: before.version, digest: before.digest },
        reason,
        changes: { status: { from: row.status, to: status } },
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

/** The row of one exact version. */
export async function versionRow(tx: EntityManager, model: string, version: string): Promise<VersionRow | undefined> {
  const rows = await tx.query<VersionRow[]>(
    `SELECT ${VERSION_COLUMNS} FROM registry.model_version v WHERE v.model = $1 AND v.version = $2`,
    [model, lookupName(version)],
  );
  return rows[0];
}

function notServable(version: ModelVersion, why: string): DomainError {
  return new DomainError(
    'version_not_servable',
    `Version ${version.version} of model '${version.model}' is ${version.status}: ${why}.`,
  );
}
