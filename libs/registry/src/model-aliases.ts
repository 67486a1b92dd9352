import type { EntityManager } from 'typeorm';
import type { RecordChange } from '@sibyl/audit';
import type { Database } from '@sibyl/database';
import { DomainError, invariant, timestamp, type Actor, type Clock, type FieldFault } from '@sibyl/kernel';
import { ALIAS_EVENT_COLUMNS, aliasEventOf, type AliasEvent, type AliasEventRow } from './alias-event';
import { metricFaults, lacking, type Metrics } from './policy-check';
import { mayPromote } from './model-policy';
import type { ModelPolicies, PolicyRevision } from './model-policies';
import { versionOf, versionRow } from './version-rows';
import { counting } from './version-approvals';
import { checkPrecondition, type Precondition } from './etag';
import { aliasNotFound, checkAlias, checkReason, lookupName, modelNotFound, versionNotFound } from './names';
import { concludeChange, lockModel } from './registry-change';
import { isServable, type StoredStatus } from './model-version';
import type { PackageDigest } from './package-digest';

export interface AliasMove extends Precondition {
  readonly model: string;
  readonly alias: string;
  readonly version: string;
  readonly reason: string;
}

export interface AliasRollback extends Pick<Precondition, 'ifMatch'> {
  readonly model: string;
  readonly alias: string;
  readonly reason: string;
}

interface Target {
  readonly version: string;
  readonly digest: PackageDigest;
  readonly status: StoredStatus;
  /** Of its last validation. */
  readonly passed: boolean | null;
  readonly metrics: Metrics | null;
}

/** Where an alias goes, and the event that a later rollback returns to. */
interface Step {
  readonly kind: 'move' | 'rollback';
  readonly to: Target;
  readonly returnsTo: string | number | null;
}

/**
 * Moves aliases. Each move is one row of a history that only grows, linked to the state before it: a rollback goes back
 * one link, so that after A, B, C it leads to B, then to A, and a move after a rollback is undone by the next rollback.
 */
export class ModelAliases {
  constructor(
    private readonly database: Database,
    private readonly clock: Clock,
    private readonly policies: ModelPolicies,
  ) {}

  /** Points an alias at a version that may serve, if the alias is still as the caller saw it. */
  async move(actor: Actor, move: AliasMove, record: RecordChange): Promise<AliasEvent> {
    checkAlias(move.alias);
    const reason = checkReason(move.reason);
    return this.database.transaction(async (tx) => {
      await requireModel(tx, move.model);
      const policy = await this.policies.of(tx, move.model);
      requirePromoter(policy, actor, move.alias);
      const to = await this.target(tx, move.model, move.version);
      await refuseVersionName(tx, move.model, move.alias);
      const present = await presentOf(tx, move.model, move.alias);
      checkPrecondition(move, present && `"${present.revision}"`);
      requireServable(move.model, to);
      if (present?.version !== to.version) await this.requirePolicy(tx, policy, to, present?.version);
      // A move to where the alias is already changes nothing, and must not take the place of a rollback's target.
      const event =
        present?.version === to.version
          ? present
          : await this.append(tx, { ...move, actor, reason }, present, {
              kind: 'move',
              to,
              returnsTo: present?.id ?? null,
            });
      return this.conclude(tx, 'model.promote', event, { reason, from: present?.version }, record);
    });
  }

  /** Points an alias back at what it pointed at before its present state. */
  async rollback(actor: Actor, rollback: AliasRollback, record: RecordChange): Promise<AliasEvent> {
    checkAlias(rollback.alias);
    const reason = checkReason(rollback.reason);
    return this.database.transaction(async (tx) => {
      const { model, alias } = rollback;
      await requireModel(tx, model);
      // What it goes back to was let through by the policy of its time: in need it is not held to a later one.
      requirePromoter(await this.policies.of(tx, model), actor, alias);
      const present = await presentOf(tx, model, alias);
      if (!present) throw aliasNotFound(model, alias);
      checkPrecondition(rollback, `"${present.revision}"`);
      const before = await eventById(tx, present.returns_to);
      if (!before) {
        throw new DomainError(
          'version_not_servable',
          `Alias '${alias}' of model '${model}' has no version before ${present.version}.`,
        );
      }
      const to = await this.target(tx, model, before.version);
      requireServable(model, to);
      const step: Step = { kind: 'rollback', to, returnsTo: before.returns_to };
      const event = await this.append(tx, { actor, reason, model, alias }, present, step);
      return this.conclude(tx, 'model.rollback', event, { reason, from: present.version }, record);
    });
  }

  /** The version that a rollback would lead to at this moment; undefined where there is none, or no such alias. */
  async rollbackTarget(model: string, alias: string): Promise<string | undefined> {
    const [row] = await this.database.query<{ readonly version: string }>(
      `SELECT before.version FROM registry.model_alias a
       JOIN registry.alias_event e ON e.id = a.event JOIN registry.alias_event before ON before.id = e.returns_to
       WHERE a.model = $1 AND a.alias = $2`,
      [model, alias],
    );
    return row?.version;
  }

  /**
   * Gives the model's first version an alias, where the model has never had that one. Part of a registration, whose
   * transaction holds the model's lock.
   */
  async createFirst(
    tx: EntityManager,
    actor: Actor,
    first: Omit<AliasMove, keyof Precondition>,
  ): Promise<AliasEvent | undefined> {
    if (await presentOf(tx, first.model, first.alias)) return undefined;
    const to = await this.target(tx, first.model, first.version);
    const policy = await this.policies.of(tx, first.model);
    const lets =
      mayPromote(policy.policy, actor, first.alias) && (await this.lacks(tx, policy, to, undefined)).length === 0;
    if (!lets) return undefined;
    const row = await this.append(tx, { ...first, actor }, undefined, { kind: 'move', to, returnsTo: null });
    return aliasEventOf(row);
  }

  /** Holds a promotion to the policy as it is now, whatever was asked when the version was validated. */
  private async requirePolicy(
    tx: EntityManager,
    policy: PolicyRevision,
    to: Target,
    replaced: string | undefined,
  ): Promise<void> {
    const lacks = await this.lacks(tx, policy, to, replaced);
    if (lacks.length > 0) throw lacking(policy.model, to.version, lacks);
  }

  private async lacks(
    tx: EntityManager,
    { model, policy }: PolicyRevision,
    { version, metrics }: Target,
    replaced: string | undefined,
  ): Promise<FieldFault[]> {
    const row = policy.approvals === 0 ? undefined : await versionRow(tx, model, version);
    const given = row ? counting(versionOf(row).approvals, row.registered_by).length : 0;
    const needed = policy.approvals;
    const expected = `${needed} of persons other than who registered it`;
    const approvals = given < needed ? [{ pointer: '/approvals', expected, received: String(given) }] : [];
    const current = replaced === undefined ? undefined : await this.target(tx, model, replaced);
    const compared = current && { version: current.version, metrics: current.metrics ?? {} };
    return [...approvals, ...metricFaults(policy, metrics ?? {}, compared)];
  }

  private async conclude(
    tx: EntityManager,
    action: string,
    row: AliasEventRow,
    { reason, from }: { reason: string; from: string | undefined },
    record: RecordChange,
  ): Promise<AliasEvent> {
    const { model, alias, version, digest, revision } = row;
    await concludeChange(tx, model, record, {
      action,
      resource: { type: 'model_alias', id: `${model}/${alias}` },
      model: { name: model, version, digest, alias },
      reason,
      changes: { version: { from: from ?? null, to: version }, revision },
    });
    return aliasEventOf(row);
  }

  private async append(
    tx: EntityManager,
    by: { readonly actor: Actor; readonly reason: string; readonly model: string; readonly alias: string },
    present: AliasEventRow | undefined,
    { kind, to, returnsTo }: Step,
  ): Promise<AliasEventRow> {
    // Clocks of replicas differ, and history may not run backwards: whoever holds the model's lock comes later.
    const at = Math.max(this.clock.now(), present ? new Date(present.at).getTime() : 0);
    const revision = (present?.revision ?? 0) + 1;
    const [row] = await tx.query<AliasEventRow[]>(
      `INSERT INTO registry.alias_event AS e
         (model, alias, revision, kind, from_version, version, digest, returns_to, at, actor, reason)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) RETURNING ${ALIAS_EVENT_COLUMNS}`,
      [
        ...[by.model, by.alias, revision, kind, present?.version ?? null, to.version, to.digest, returnsTo],
        ...[timestamp(at), JSON.stringify(by.actor), by.reason],
      ],
    );
    invariant(row, 'an inserted row comes back');
    await tx.query(
      `INSERT INTO registry.model_alias (model, alias, version, event) VALUES ($1, $2, $3, $4)
       ON CONFLICT (model, alias) DO UPDATE SET version = excluded.version, event = excluded.event`,
      [by.model, by.alias, to.version, row.id],
    );
    return row;
  }

  /** An exact version; a leading `v` is tried without it. */
  private async target(tx: EntityManager, model: string, version: string): Promise<Target> {
    const rows = await tx.query<Target[]>(
      `SELECT version, digest, status, (report->>'passed')::boolean AS passed, manifest->'metrics' AS metrics
       FROM registry.model_version
       WHERE model = $1 AND (version = $2 OR (left($2, 1) = 'v' AND version = substr($2, 2)))
       ORDER BY version = $2 DESC LIMIT 1`,
      [model, lookupName(version)],
    );
    const [target] = rows;
    if (!target) throw versionNotFound(model, version);
    return target;
  }
}

/** Locks the model for the rest of the transaction; model_not_found with near names where there is none. */
export async function requireModel(tx: EntityManager, model: string): Promise<void> {
  if (await lockModel(tx, model)) return;
  const rows = await tx.query<{ name: string }[]>('SELECT name FROM registry.model ORDER BY name LIMIT 10000');
  throw modelNotFound(
    model,
    rows.map((row) => row.name),
  );
}

function requirePromoter({ model, policy }: PolicyRevision, actor: Actor, alias: string): void {
  if (mayPromote(policy, actor, alias)) return;
  const detail = `Only those whom the policy of model '${model}' names as promoters may move its alias '${alias}'.`;
  throw new DomainError('policy_forbidden', detail);
}

// A version that an alias kept in service although it failed its last validation is not promoted again.
function requireServable(model: string, { version, status, passed }: Target): void {
  if (isServable(status) && passed === true) return;
  const why = isServable(status) ? 'failed its last validation' : `is ${status}`;
  throw new DomainError('version_not_servable', `Version ${version} of model '${model}' ${why} and cannot serve.`);
}

// A request names versions and aliases in one place, where the version would hide the alias.
async function refuseVersionName(tx: EntityManager, model: string, alias: string): Promise<void> {
  const rows = await tx.query<unknown[]>('SELECT 1 FROM registry.model_version WHERE model = $1 AND version = $2', [
    model,
    alias,
  ]);
  if (rows.length === 0) return;
  throw new DomainError(
    'invalid_parameter',
    `'${alias}' is a version of model '${model}' and cannot be an alias too.`,
    {
      faults: [{ pointer: '/alias', expected: 'a word that is not a version of the model', received: alias }],
    },
  );
}

async function presentOf(tx: EntityManager, model: string, alias: string): Promise<AliasEventRow | undefined> {
  const [row] = await tx.query<AliasEventRow[]>(
    `SELECT ${ALIAS_EVENT_COLUMNS} FROM registry.model_alias a JOIN registry.alias_event e ON e.id = a.event
     WHERE a.model = $1 AND a.alias = $2`,
    [model, alias],
  );
  return row;
}

async function eventById(tx: EntityManager, id: string | number | null): Promise<AliasEventRow | undefined> {
  if (id === null) return undefined;
  const [row] = await tx.query<AliasEventRow[]>(
    `SELECT ${ALIAS_EVENT_COLUMNS} FROM registry.alias_event e WHERE e.id = $1`,
    [id],
  );
  return row;
}
