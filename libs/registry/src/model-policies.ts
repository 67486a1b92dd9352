import type { EntityManager } from 'typeorm';
import type { ChangeRecord, RecordChange } from '@sibyl/audit';
import type { Database } from '@sibyl/database';
import { DomainError, invariant, timestamp, type Actor, type Clock } from '@sibyl/kernel';
import type { GivenApproval } from './alias-event';
import { checkPrecondition, type Precondition } from './etag';
import { checkPolicy, mayPromote, ModelPolicy } from './model-policy';
import { checkModelName, checkReason, lookupName, modelNotFound } from './names';
import { definedOnly } from './optional';
import { ONE_PERSON, samePerson } from './person';
import { PolicyProposals } from './policy-proposals';
import type { PolicyRevision } from './policy-revision';
import { weakened } from './policy-weakening';
import { concludeChange, lockModel, requireModel } from './registry-change';
import { syncStatus } from './sync/sync-state';
import { counting } from './version-approvals';
import { rfc3339 } from './version-rows';

export interface PolicyChange extends Precondition {
  readonly model: string;
  readonly policy: ModelPolicy;
  readonly reason: string;
}

export interface PolicyApproval extends Pick<Precondition, 'ifMatch'> {
  readonly model: string;
  readonly reason: string;
}

interface PolicyRow {
  readonly revision: number;
  readonly policy: Partial<ModelPolicy>;
  readonly at: Date | string;
  readonly actor: Actor;
  readonly reason: string;
  readonly approvals: readonly GivenApproval[] | null;
}

const COLUMNS = 'revision, policy, at, actor, reason, approvals';

/** What a policy change means for the versions that are there; part of its transaction. */
export type OnPolicy = (tx: EntityManager, actor: Actor, set: PolicyRevision) => Promise<void>;

/**
 * The policies of models: one document each, its history kept. A policy that asks for approvals asks for them for a weaker one too, or
 * whoever may change it would need none for anything.
 */
export class ModelPolicies {
  private readonly proposals: PolicyProposals;

  constructor(
    private readonly database: Database,
    private readonly clock: Clock,
    private readonly onPolicy: OnPolicy = () => Promise.resolve(),
  ) {
    this.proposals = new PolicyProposals(clock);
  }

  /** The policy in force, the defaults where none was set; also of a model that does not exist yet. */
  async of(tx: EntityManager | undefined, model: string): Promise<PolicyRevision> {
    const sql = `SELECT ${COLUMNS} FROM registry.model_policy
      WHERE model = $1 ORDER BY revision DESC LIMIT 1`;
    const rows = tx
      ? await tx.query<PolicyRow[]>(sql, [lookupName(model)])
      : await this.database.query<PolicyRow>(sql, [lookupName(model)]);
    return revisionOf(model, rows[0]);
  }

  /** The same for a model that exists, with the policy that waits to replace it and how far it has come; model_not_found otherwise. */
  async find(model: string): Promise<PolicyRevision> {
    const known = await this.database.query<{ name: string }>(
      'SELECT name FROM registry.model ORDER BY name = $1 DESC, name LIMIT 10000',
      [lookupName(model)],
    );
    const names = known.map(({ name }) => name);
    if (names[0] !== model) throw modelNotFound(model, names);
    return this.database.transaction(async (tx) => {
      const found = await this.withProposal(tx, await this.of(tx, model));
      return found.policy.sync ? { ...found, syncStatus: await syncStatus(tx, model, found.revision) } : found;
    });
  }

  /**
   * Replaces the policy whole, if it is still as the caller saw it. The model need not exist: a policy may wait for its first
   * version. The same policy again changes nothing. One that is weaker than a policy which asks for approvals waits for them.
   */
  async set(actor: Actor, change: PolicyChange, record: RecordChange): Promise<PolicyRevision> {
    const { model, policy } = change;
    const reason = checkReason(change.reason);
    checkPolicy(policy);
    checkModelName(model);
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
      const wanted = { policy, reason };
      if (before.policy.approvals > 0 && weakened(before.policy, policy).length > 0)
        return this.propose(tx, actor, before, wanted, record);
      const set = await this.replace(tx, actor, before, wanted);
      await concludeChange(tx, model, record, {
        ...event('policy.set', model, reason),
        changes: { revision: set.revision, ...changesOf(before.policy, policy) },
      });
      return set;
    });
  }

  /**
   * Approves the policy that was proposed, as the caller read it. It is in force once as many persons have as the one in force asks
   * for, none of them who proposed it.
   */
  async approve(actor: Actor, approval: PolicyApproval, record: RecordChange): Promise<PolicyRevision> {
    const { model } = approval;
    const reason = checkReason(approval.reason);
    return this.database.transaction(async (tx) => {
      await requireModel(tx, model);
      const before = await this.of(tx, model);
      const waiting = await this.proposals.waiting(tx, before);
      checkPrecondition(definedOnly({ ifMatch: approval.ifMatch }), waiting?.etag, 'proposed policy');
      invariant(waiting, 'an ETag that holds is that of something');
      if (samePerson(waiting.actor, actor))
        throw new DomainError(
          'policy_forbidden',
          `The policy of model '${model}' asks for the approval of somebody else than who proposed the weaker one. ${ONE_PERSON}`,
        );
      const known = waiting.approvals.some((given) => samePerson(given.actor, actor));
      const proposal = known ? waiting : await this.proposals.approve(tx, actor, before, reason);
      const counted = counting(proposal.approvals, proposal.actor);
      const enough = counted.length >= before.policy.approvals;
      const set = enough
        ? await this.replace(tx, proposal.actor, before, { ...proposal, approvals: counted })
        : { ...before, proposal };
      await concludeChange(tx, model, record, {
        ...event('policy.approve', model, reason),
        changes: {
          proposal: proposal.number,
          given: counted.length,
          ...(enough ? { revision: set.revision, ...changesOf(before.policy, proposal.policy) } : {}),
        },
      });
      return set;
    });
  }

  private async withProposal(tx: EntityManager, inForce: PolicyRevision): Promise<PolicyRevision> {
    return { ...inForce, proposal: await this.proposals.waiting(tx, inForce) };
  }

  private async propose(
    tx: EntityManager,
    actor: Actor,
    before: PolicyRevision,
    { policy, reason }: Pick<PolicyChange, 'policy' | 'reason'>,
    record: RecordChange,
  ): Promise<PolicyRevision> {
    await this.proposals.add(tx, actor, before, { policy, reason });
    const proposed = await this.withProposal(tx, before);
    await concludeChange(tx, before.model, record, {
      ...event('policy.propose', before.model, reason),
      status: 202,
      changes: {
        proposal: proposed.proposal?.number,
        weakens: proposed.proposal?.weakens.map(snake),
        ...changesOf(before.policy, policy),
      },
    });
    return proposed;
  }

  /** Makes a policy the one in force; the same as before only takes back what was proposed instead. */
  private async replace(
    tx: EntityManager,
    actor: Actor,
    before: PolicyRevision,
    change: Pick<PolicyRevision, 'policy' | 'approvals'> & Pick<PolicyChange, 'reason'>,
  ): Promise<PolicyRevision> {
    if (before.revision > 0 && JSON.stringify(before.policy) === JSON.stringify(change.policy)) {
      if (await this.proposals.waiting(tx, before)) await this.proposals.add(tx, actor, before, change);
      return before;
    }
    const set = await this.append(tx, actor, before, change);
    await this.onPolicy(tx, actor, set);
    return set;
  }

  private async append(
    tx: EntityManager,
    actor: Actor,
    { model, revision }: PolicyRevision,
    { policy, reason, approvals }: Pick<PolicyRevision, 'policy' | 'approvals'> & Pick<PolicyChange, 'reason'>,
  ): Promise<PolicyRevision> {
    const [row] = await tx.query<PolicyRow[]>(
      `INSERT INTO registry.model_policy (model, revision, policy, at, actor, reason, approvals)
       VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING ${COLUMNS}`,
      [
        ...[model, revision + 1, JSON.stringify(policy), timestamp(this.clock.now()), JSON.stringify(actor), reason],
        approvals ? JSON.stringify(approvals) : null,
      ],
    );
    invariant(row, 'an inserted row comes back');
    return revisionOf(model, row);
  }
}

function revisionOf(model: string, row: PolicyRow | undefined): PolicyRevision {
  if (!row) return { model, revision: 0, etag: '"0"', policy: new ModelPolicy() };
  const { revision, policy, at, actor, reason, approvals } = row;
  return {
    ...{ model, revision, etag: `"${revision}"`, policy: ModelPolicy.of(policy), at: rfc3339(at), actor, reason },
    ...(approvals ? { approvals } : {}),
  };
}

// The ETag of a policy that nobody has set is as good as `If-None-Match: *`: whoever read it saw that there is none.
function checkPolicyPrecondition(change: Precondition, { revision, etag }: PolicyRevision): void {
  const created = revision === 0 && change.ifMatch?.trim() === etag;
  checkPrecondition(created ? { ifNoneMatch: '*' } : change, revision === 0 ? undefined : etag, 'policy');
}

function event(
  action: string,
  model: string,
  reason: string,
): Pick<ChangeRecord, 'action' | 'resource' | 'model' | 'reason'> {
  return { action, resource: { type: 'model_policy', id: model }, model: { name: model }, reason };
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
