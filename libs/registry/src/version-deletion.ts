import type { EntityManager } from 'typeorm';
import type { RecordChange } from '@sibyl/audit';
import type { Database } from '@sibyl/database';
import { DomainError, timestamp, type Actor, type Clock, type FieldFault } from '@sibyl/kernel';
import type { ModelPolicies } from './model-policies';
import { isServable, type ModelVersion } from './model-version';
import { checkReason, versionNotFound } from './names';
import { concludeChange, requireModel, versionResource } from './registry-change';
import type { ReleasedArtifacts } from './released-artifacts';
import type { RegistryOptions } from './registry-options';
import { refuseUnderway } from './validation-underway';
import type { VersionApprovals } from './version-approvals';
import { warmVersions } from './warm-versions';
import type { VersionDecision } from './version-lifecycle';
import { VERSION_COLUMNS, versionOf, versionRow, type VersionRow } from './version-rows';

/** When a version answered last, if that was at `sinceMs` or later. */
export type LastPrediction = (model: string, version: string, sinceMs: number) => Promise<string | undefined>;

export interface DeletionParts {
  readonly database: Database;
  readonly released: ReleasedArtifacts;
  readonly policies: ModelPolicies;
  readonly approvals: VersionApprovals;
  readonly clock: Clock;
  readonly options: Pick<RegistryOptions, 'keepPredictedDays' | 'abandonedAfterMs'>;
  readonly lastPrediction: LastPrediction | undefined;
}

const DAY_MS = 24 * 3_600_000;

/**
 * Deletes the bytes of versions that nobody needs. The row, the digest, the report and the history stay: what an event or a
 * prediction names can be looked up for ever.
 */
export class VersionDeletion {
  constructor(private readonly parts: DeletionParts) {}

  /** Archives the version and gives its bytes up; in_use with every reason why it must stay. */
  async delete(actor: Actor, decision: VersionDecision, record: RecordChange): Promise<ModelVersion> {
    const reason = checkReason(decision.reason);
    const { model, version } = decision;
    const predicted = await this.predicted(model, version);
    const deleted = await this.parts.database.transaction(async (tx) => {
      await requireModel(tx, model);
      const row = await versionRow(tx, model, version);
      if (!row) throw versionNotFound(model, version);
      const before = versionOf(row);
      if (before.deletion !== undefined) return before;
      const { clock, options } = this.parts;
      refuseUnderway(row, { clock, abandonedAfterMs: options.abandonedAfterMs });
      refuse(before, [...(await this.pointers(tx, before)), ...predicted]);
      // What comes back one day is approved anew.
      const policy = await this.parts.policies.of(tx, model);
      await this.parts.approvals.void(tx, actor, before, { policy, reason });
      const changed = await this.mark(tx, actor, before, reason);
      await this.parts.released.release(tx, before.digest);
      await concludeChange(tx, model, record, {
        action: 'model.delete',
        resource: versionResource(model, before.version),
        model: { name: model, version: before.version, digest: before.digest },
        reason,
        changes: {
          status: { from: row.status, to: 'archived' },
          bytes: before.files.reduce((sum, file) => sum + file.bytes, 0),
        },
      });
      return changed;
    });
    await this.parts.released.collect();
    return deleted;
  }

  private async predicted(model: string, version: string): Promise<FieldFault[]> {
    const { keepPredictedDays } = this.parts.options;
    if (keepPredictedDays === 0) return [];
    const last = await this.parts.lastPrediction?.(model, version, this.parts.clock.now() - keepPredictedDays * DAY_MS);
    if (last === undefined) return [];
    const expected = `no prediction of this version in the last ${keepPredictedDays} days`;
    return [{ pointer: '/version', expected, received: `its last prediction was recorded at ${last}` }];
  }

  private async pointers(tx: EntityManager, { model, version, aliases, status }: ModelVersion): Promise<FieldFault[]> {
    const faults = aliases.map((alias) => ({
      pointer: '/version',
      expected: 'a version that no alias points at',
      received: `the alias '${alias}' points at it`,
    }));
    if (!isServable(status)) return faults;
    const rows = await tx.query<{ alias: string }[]>(
      `SELECT a.alias FROM registry.model_alias a JOIN registry.alias_event e ON e.id = a.event
       JOIN registry.alias_event before ON before.id = registry.rollback_target(e.id)
       WHERE a.model = $1 AND before.version = $2 ORDER BY a.alias`,
      [model, version],
    );
    const expected = 'a version that no rollback leads to; archive it first to give that up';
    return [
      ...faults,
      ...rows.map(({ alias }) => ({ pointer: '/version', expected, received: `a rollback of '${alias}' leads to it` })),
      ...(aliases.length === 0 ? await this.warmth(tx, { model, version }) : []),
    ];
  }

  /** Whether the policy keeps it loaded, as one of those that aliases pointed at last. */
  private async warmth(
    tx: EntityManager,
    { model, version }: Pick<ModelVersion, 'model' | 'version'>,
  ): Promise<FieldFault[]> {
    const { policy } = await this.parts.policies.of(tx, model);
    const warm = await warmVersions((sql, values) => tx.query(sql, values), [{ model, keep: policy.keepWarm }]);
    if (!warm.some((row) => row.version === version)) return [];
    const expected = 'a version that keep_warm of the policy does not keep; archive it first to give that up';
    const received = `keep_warm of the policy is ${policy.keepWarm}, and keeps it`;
    return [{ pointer: '/version', expected, received }];
  }

  private async mark(
    tx: EntityManager,
    actor: Actor,
    { model, version }: ModelVersion,
    reason: string,
  ): Promise<ModelVersion> {
    const at = timestamp(this.parts.clock.now());
    const [row] = await tx.query<VersionRow[]>(
      `WITH v AS (UPDATE registry.model_version SET status = 'archived', deletion = $3, changed_at = $4, changed_by = $5,
           revision = revision + 1 WHERE model = $1 AND version = $2 RETURNING *)
       SELECT ${VERSION_COLUMNS} FROM v`,
      [model, version, JSON.stringify({ at, actor, reason }), at, JSON.stringify(actor)],
    );
    if (!row) throw versionNotFound(model, version);
    return versionOf(row);
  }
}

function refuse({ model, version }: ModelVersion, faults: readonly FieldFault[]): void {
  if (faults.length === 0) return;
  const why = faults.map(({ received }) => received).join('; ');
  throw new DomainError('in_use', `Version ${version} of model '${model}' is needed: ${why}.`, { faults });
}
