import type { EntityManager } from 'typeorm';
import type { RecordChange } from '@sibyl/audit';
import type { Database } from '@sibyl/database';
import { DomainError, invariant, timestamp, type Actor, type Clock, type FieldFault } from '@sibyl/kernel';
import {
  ALIAS_EVENT_COLUMNS,
  aliasEventOf,
  type GivenApproval,
  type AliasEvent,
  type AliasEventRow,
} from './alias-event';
import { presentOf, stepBack, type StepBack, type Target } from './alias-state';
import { checkCallers } from './breaking-move';
import { checkPrecondition, type Precondition } from './etag';
import { aliasNotFound, checkAlias, checkReason, lookupName, modelNotFound, versionNotFound } from './names';
import { isModel, modelNames, REGISTRY_CHANNEL, requireModel, type Look } from './registry-change';
import { isServable } from './model-version';
import { requirePromoter, type PromotionRules } from './promotion-rules';
import { versionsOf } from './version-rows';
import { auditedSignature, type SignatureRecord } from './signing/signature-policy';

export interface AliasMove extends Precondition {
  readonly model: string;
  readonly alias: string;
  readonly version: string;
  readonly reason: string;
  /** Whoever moves it knows that callers of the version before will break. */
  readonly allowBreaking?: boolean;
}

export interface AliasRollback extends Pick<Precondition, 'ifMatch'> {
  readonly model: string;
  readonly alias: string;
  readonly reason: string;
}

/** Where an alias goes, and the event that a later rollback returns to. */
interface Step {
  readonly kind: 'move' | 'rollback';
  readonly to: Target;
  readonly returnsTo: string | number | null;
  readonly breaking?: readonly FieldFault[] | undefined;
  readonly approvals?: readonly GivenApproval[];
  /** What was found of the version's signature, kept with the version. */
  readonly signed?: SignatureRecord | undefined;
}

interface Why {
  readonly reason: string;
  readonly from: string | undefined;
  readonly breaking?: readonly FieldFault[] | undefined;
  readonly signed: SignatureRecord | undefined;
}

/** A move whose conditions hold. */
interface Prepared {
  readonly present: AliasEventRow | undefined;
  readonly to: Target;
  readonly breaking: readonly FieldFault[] | undefined;
  readonly approvals: readonly GivenApproval[];
  readonly signed: SignatureRecord | undefined;
}

/** A rollback whose conditions hold. */
type PreparedBack = Required<Pick<StepBack, 'present' | 'to' | 'returnsTo'>> & { readonly signed: SignatureRecord };

/**
 * Moves aliases. Each move is one row of a history that only grows, linked to the state before it: a rollback goes back
 * one link, so that after A, B, C it leads to B, then to A, and a move after a rollback is undone by the next rollback.
 */
export class ModelAliases {
  constructor(
    private readonly database: Database,
    private readonly clock: Clock,
    private readonly rules: PromotionRules,
  ) {}

  /** Points an alias at a version that may serve, if the alias is still as the caller saw it. */
  async move(actor: Actor, move: AliasMove, record: RecordChange): Promise<AliasEvent> {
    checkAlias(move.alias);
    const reason = checkReason(move.reason);
    return this.database.transaction(async (tx) => {
      await requireModel(tx, move.model);
      const { present, to, breaking, approvals, signed } = await this.prepare(tx, actor, move);
      // A move to where the alias is already changes nothing, and must not take the place of a rollback's target.
      const step = { kind: 'move', to, returnsTo: present?.id ?? null, breaking, approvals, signed } as const;
      const event =
        present?.version === to.version ? present : await this.append(tx, { ...move, actor, reason }, present, step);
      return this.conclude(tx, 'model.promote', event, { reason, from: present?.version, breaking, signed }, record);
    });
  }

  /** Throws what `move` would throw at this moment, before anything is loaded for it. */
  async foresee(actor: Actor, move: AliasMove): Promise<void> {
    checkAlias(move.alias);
    checkReason(move.reason);
    await this.database.transaction(async (tx) => {
      // Without the lock: taking it writes, and a write waits for the disk.
      await requireModel(tx, move.model, isModel);
      await this.prepare(tx, actor, move);
    });
  }

  /** Points an alias back at what it pointed at before its present state, past versions that may serve no more. */
  async rollback(actor: Actor, rollback: AliasRollback, record: RecordChange): Promise<AliasEvent> {
    checkAlias(rollback.alias);
    const reason = checkReason(rollback.reason);
    return this.database.transaction(async (tx) => {
      const { model, alias } = rollback;
      await requireModel(tx, model);
      const step = await this.lookBack((sql, params) => tx.query(sql, params), actor, rollback);
      const { present, signed } = step;
      const event = await this.append(tx, { actor, reason, model, alias }, present, { kind: 'rollback', ...step });
      return this.conclude(tx, 'model.rollback', event, { reason, from: present.version, signed }, record);
    });
  }

  /** Throws what `rollback` would throw at this moment, before anything is loaded for it; else the version that it leads to. */
  async foreseeRollback(actor: Actor, rollback: AliasRollback): Promise<string> {
    checkAlias(rollback.alias);
    checkReason(rollback.reason);
    const { to } = await this.lookBack((sql, params) => this.database.query(sql, params), actor, rollback);
    return to.version;
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
    const { model, alias } = first;
    const policy = await this.rules.policyOf(tx, model);
    const [version] = await versionsOf(tx, model, [to.version]);
    if (!version || !this.rules.lets(actor, alias, { policy, to: version, replaces: undefined })) return undefined;
    const row = await this.append(tx, { ...first, actor }, undefined, { kind: 'move', to, returnsTo: null });
    return aliasEventOf(row);
  }

  /** Holds the move to everything that it must satisfy. */
  private async prepare(tx: EntityManager, actor: Actor, move: AliasMove): Promise<Prepared> {
    const { model, alias, allowBreaking = false } = move;
    // First, with as little as can be under the model's lock: of many who move an alias at once, all but one end here.
    const present = await presentOf(tx, model, alias);
    checkPrecondition(move, present && `"${present.revision}"`);
    const policy = await this.rules.policyOf(tx, model);
    requirePromoter(policy, actor, { model, alias });
    const to = await this.target(tx, model, move.version);
    await refuseVersionName(tx, model, alias);
    requireServable(model, to);
    // A move to where the alias is already changes nothing, so nothing is asked of it.
    if (present?.version === to.version) return { present, to, breaking: undefined, approvals: [], signed: undefined };
    const [version, replaces] = await versionsOf(tx, model, [to.version, ...(present ? [present.version] : [])]);
    if (!version) throw versionNotFound(model, to.version);
    const approvals = this.rules.require({ policy, to: version, replaces });
    const signed = await this.rules.signatureOf(version, policy);
    const breaking = replaces && checkCallers(replaces, version, allowBreaking);
    return { present, to, breaking, approvals, signed };
  }

  /**
   * Holds a rollback to what it must satisfy. What it goes back to was let through by the policy of its time: in need it is not
   * held to a later one.
   */
  private async lookBack(look: Look, actor: Actor, rollback: AliasRollback): Promise<PreparedBack> {
    const { model, alias } = rollback;
    const step = await stepBack(look, model, alias);
    if (!step) throw modelNotFound(model, await modelNames(look));
    const { present, to, returnsTo, policy, last } = step;
    requirePromoter(policy, actor, { model, alias });
    if (!present) throw aliasNotFound(model, alias);
    checkPrecondition(rollback, `"${present.revision}"`);
    if (!to) throw nothingBefore(present, last);
    const signed = await this.rules.signatureOf({ model, ...to }, policy);
    return { present, to, returnsTo, signed };
  }

  private async conclude(
    tx: EntityManager,
    action: string,
    row: AliasEventRow,
    { reason, from, breaking, signed }: Why,
    record: RecordChange,
  ): Promise<AliasEvent> {
    const { model, alias, version, digest, revision } = row;
    await record(tx, {
      action,
      resource: { type: 'model_alias', id: `${model}/${alias}` },
      model: { name: model, version, digest, alias },
      reason,
      changes: {
        version: { from: from ?? null, to: version },
        revision,
        ...audited(breaking),
        ...auditedSignature(signed),
      },
    });
    return aliasEventOf(row);
  }

  private async append(
    tx: EntityManager,
    by: { readonly actor: Actor; readonly reason: string; readonly model: string; readonly alias: string },
    present: AliasEventRow | undefined,
    { kind, to, returnsTo, breaking, approvals = [], signed }: Step,
  ): Promise<AliasEventRow> {
    // Clocks of replicas differ, and history may not run backwards: whoever holds the model's lock comes later.
    const at = Math.max(this.clock.now(), present ? new Date(present.at).getTime() : 0);
    const revision = (present?.revision ?? 0) + 1;
    // All in one statement: an alias is where its last event says, whoever looks, and whoever waits for a rollback waits once.
    const [row] = await tx.query<AliasEventRow[]>(
      `WITH e AS (INSERT INTO registry.alias_event
           (model, alias, revision, kind, from_version, version, digest, returns_to, at, actor, reason, breaking, approvals)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) RETURNING *),
       a AS (INSERT INTO registry.model_alias (model, alias, version, event) SELECT model, alias, version, id FROM e
         ON CONFLICT (model, alias) DO UPDATE SET version = excluded.version, event = excluded.event),
       s AS (UPDATE registry.model_version SET package_signature = $14::json
         WHERE model = $1 AND version = $6 AND $14::json IS NOT NULL)
       SELECT ${ALIAS_EVENT_COLUMNS}, pg_notify('${REGISTRY_CHANNEL}', e.model) FROM e`,
      [
        ...[by.model, by.alias, revision, kind, present?.version ?? null, to.version, to.digest, returnsTo],
        ...[timestamp(at), JSON.stringify(by.actor), by.reason, breaking ? JSON.stringify(breaking) : null],
        approvals.length > 0 ? JSON.stringify(approvals) : null,
        signed ? JSON.stringify(signed) : null,
      ],
    );
    invariant(row, 'an inserted row comes back');
    return row;
  }

  /** An exact version; a leading `v` is tried without it. */
  private async target(tx: EntityManager, model: string, version: string): Promise<Target> {
    const rows = await tx.query<Target[]>(
      `SELECT version, digest, status, (report->>'passed')::boolean AS passed FROM registry.model_version
       WHERE model = $1 AND (version = $2 OR (left($2, 1) = 'v' AND version = substr($2, 2)))
       ORDER BY version = $2 DESC LIMIT 1`,
      [model, lookupName(version)],
    );
    const [target] = rows;
    if (!target) throw versionNotFound(model, version);
    return target;
  }
}

/** The move's row has all that was allowed; its audit event says that it was, and how much. */
function audited(breaking: readonly FieldFault[] | undefined): Record<string, unknown> {
  if (breaking === undefined) return {};
  return { allow_breaking: true, breaking: breaking.slice(0, BREAKING_AUDITED).map(({ pointer }) => pointer) };
}

const BREAKING_AUDITED = 20;

// A version that an alias kept in service although it failed its last validation is not promoted again.
function requireServable(model: string, { version, status, passed }: Target): void {
  if (isServable(status) && passed === true) return;
  const why = servableFault({ status });
  throw new DomainError('version_not_servable', `Version ${version} of model '${model}' ${why} and cannot serve.`);
}

function nothingBefore({ model, alias, version }: AliasEventRow, last: StepBack['last']): DomainError {
  const why = !last || last.version === version ? '' : ` that may serve: ${last.version} ${servableFault(last)}`;
  const detail = `Alias '${alias}' of model '${model}' has no version before ${version}${why}.`;
  return new DomainError('version_not_servable', detail);
}

function servableFault({ status }: Pick<Target, 'status'>): string {
  return isServable(status) ? 'failed its last validation' : `is ${status}`;
}

// A request names versions and aliases in one place, where the version would hide the alias.
async function refuseVersionName(tx: EntityManager, model: string, alias: string): Promise<void> {
  const rows = await tx.query<unknown[]>(
    `SELECT 1 FROM registry.model_version WHERE model = $1 AND $2 IN (version, 'v' || version)`,
    [model, alias],
  );
  if (rows.length === 0) return;
  throw new DomainError(
    'invalid_parameter',
    `'${alias}' is a version of model '${model}' and cannot be an alias too.`,
    {
      faults: [{ pointer: '/alias', expected: 'a word that is not a version of the model', received: alias }],
    },
  );
}
