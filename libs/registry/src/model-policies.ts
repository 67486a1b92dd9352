import type { EntityManager } from 'typeorm';
import type { RecordChange } from '@sibyl/audit';
import type { Database } from '@sibyl/database';
import { DomainError, invariant, timestamp, type Actor, type Clock } from '@sibyl/kernel';
import { checkPrecondition, type Precondition } from './etag';
import { checkPolicy, mayPromote, ModelPolicy } from './model-policy';
import { checkReason, lookupName, modelNameFault, modelNotFound } from './names';
import { concludeChange, lockModel } from './registry-change';
import { rfc3339 } from './version-rows';

/** The policy of a model as it was set; revision 0 is that of a model whose policy nobody has set. */
export interface PolicyRevision {
  readonly model: string;
  readonly revision: number;
  /** For If-Match, with its quotes. */
  readonly etag: string;
  readonly policy: ModelPolicy;
  readonly at?: string;
  readonly actor?: Actor;
  readonly reason?: string;
}

export interface PolicyChange extends Precondition {
  readonly model: string;
  readonly policy: ModelPolicy;
  readonly reason: string;
}

interface PolicyRow {
  readonly revision: number;
  readonly policy: Partial<ModelPolicy>;
  readonly at: Date | string;
  readonly actor: Actor;
  readonly reason: string;
}

/** What a policy change means for the versions that are there; part of its transaction. */
export type OnPolicy = (tx: EntityManager, actor: Actor, set: PolicyRevision) => Promise<void>;

/** The policies of models: one document each, its history kept. */
export class ModelPolicies {
  constructor(
    private readonly database: Database,
    private readonly clock: Clock,
    private readonly onPolicy: OnPolicy = () => Promise.resolve(),
  ) {}

  /** The policy in force, the defaults where none was set; also of a model that does not exist yet. */
  async of(tx: EntityManager | undefined, model: string): Promise<PolicyRevision> {
    const sql = `SELECT revision, policy, at, actor, reason FROM registry.model_policy
      WHERE model = $1 ORDER BY revision DESC LIMIT 1`;
    const rows = tx
      ? await tx.query<PolicyRow[]>(sql, [lookupName(model)])
      : await this.database.query<PolicyRow>(sql, [lookupName(model)]);
    return revisionOf(model, rows[0]);
  }

  /** The same for a model that exists; model_not_found otherwise. */
  async find(model: string): Promise<PolicyRevision> {
    const known = await this.database.query<{ name: string }>(
      'SELECT name FROM registry.model ORDER BY name = $1 DESC, name LIMIT 10000',
      [lookupName(model)],
    );
    const names = known.map(({ name }) => name);
    if (names[0] !== model) throw modelNotFound(model, names);
    return this.of(undefined, model);
  }

  /**
   * Replaces the policy whole, if it is still as the caller saw it. The model need not exist: a policy may wait for its first
   * version. The same policy again changes nothing.
   */
  async set(actor: Actor, change: PolicyChange, record: RecordChange): Promise<PolicyRevision> {
    const { model, policy } = change;
    const reason = checkReason(change.reason);
    checkPolicy(policy);
    refuseName(model);
    return this.database.transaction(async (tx) => {
      const at = timestamp(this.clock.now());
      await tx.query('INSERT INTO registry.model (name, created_at) VALUES ($1, $2) ON CONFLICT DO NOTHING', [
        model,
        at,
      ]);
      await lockModel(tx, model);
      const before = await this.of(tx, model);
      checkPolicyPrecondition(change, before);
      if (!mayPromote(before.policy, actor))
        throw new DomainError(
          'policy_forbidden',
          `Only those whom the policy of model '${model}' names as promoters may change it.`,
        );
      const same = before.revision > 0 && JSON.stringify(before.policy) === JSON.stringify(policy);
      const set = same ? before : await this.append(tx, actor, before.revision + 1, { model, policy, reason });
      if (!same) await this.onPolicy(tx, actor, set);
      await concludeChange(tx, model, record, {
        action: 'policy.set',
        resource: { type: 'model_policy', id: model },
        model: { name: model },
        reason,
        changes: { revision: set.revision, ...changesOf(before.policy, policy) },
      });
      return set;
    });
  }

  private async append(
    tx: EntityManager,
    actor: Actor,
    revision: number,
    { model, policy, reason }: Pick<PolicyChange, 'model' | 'policy' | 'reason'>,
  ): Promise<PolicyRevision> {
    const [row] = await tx.query<PolicyRow[]>(
      `INSERT INTO registry.model_policy (model, revision, policy, at, actor, reason) VALUES ($1, $2, $3, $4, $5, $6)
       RETURNING revision, policy, at, actor, reason`,
      [model, revision, JSON.stringify(policy), timestamp(this.clock.now()), JSON.stringify(actor), reason],
    );
    invariant(row, 'an inserted row comes back');
    return revisionOf(model, row);
  }
}

function revisionOf(model: string, row: PolicyRow | undefined): PolicyRevision {
  if (!row) return { model, revision: 0, etag: '"0"', policy: new ModelPolicy() };
  const { revision, policy, at, actor, reason } = row;
  return { model, revision, etag: `"${revision}"`, policy: ModelPolicy.of(policy), at: rfc3339(at), actor, reason };
}

// The ETag of a policy that nobody has set is as good as `If-None-Match: *`: whoever read it saw that there is none.
function checkPolicyPrecondition(change: Precondition, { revision, etag }: PolicyRevision): void {
  const created = revision === 0 && change.ifMatch?.trim() === etag;
  checkPrecondition(created ? { ifNoneMatch: '*' } : change, revision === 0 ? undefined : etag, 'policy');
}

function refuseName(model: string): void {
  const expected = modelNameFault(model);
  if (expected === undefined) return;
  throw new DomainError('invalid_parameter', 'No model can have this name.', {
    faults: [{ pointer: '/name', expected, received: model.slice(0, 64) }],
  });
}

/** Members that differ, from and to. */
function changesOf(before: ModelPolicy, after: ModelPolicy): Record<string, unknown> {
  const was = before as unknown as Record<string, unknown>;
  const entries = Object.entries(after as unknown as Record<string, unknown>).filter(
    ([name, to]) => JSON.stringify(was[name]) !== JSON.stringify(to),
  );
  return Object.fromEntries(entries.map(([name, to]) => [snake(name), { from: was[name] ?? null, to }]));
}

function snake(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
