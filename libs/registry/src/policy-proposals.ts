import type { EntityManager } from 'typeorm';
import { invariant, timestamp, type Actor, type Clock } from '@sibyl/kernel';
import type { GivenApproval } from './alias-event';
import { ModelPolicy } from './model-policy';
import type { PolicyProposal, PolicyRevision } from './policy-revision';
import { weakened } from './policy-weakening';
import { rfc3339 } from './version-rows';

interface ProposalRow {
  readonly number: number;
  readonly base_revision: number;
  readonly policy: Partial<ModelPolicy>;
  readonly at: Date | string;
  readonly actor: Actor;
  readonly reason: string;
  readonly approvals: readonly GivenApproval[];
}

/** Proposals of policies. Rows are only added: a later proposal takes the place of an earlier one, a later revision ends both. */
export class PolicyProposals {
  constructor(private readonly clock: Clock) {}

  /** The proposal that waits to replace this revision. */
  async waiting(tx: EntityManager, inForce: PolicyRevision): Promise<PolicyProposal | undefined> {
    const [row] = await tx.query<ProposalRow[]>(
      `SELECT p.number, p.base_revision, p.policy, p.at, p.actor, p.reason, COALESCE((
           SELECT json_agg(json_build_object('actor', a.actor, 'at', a.at, 'reason', a.reason) ORDER BY a.id)
           FROM registry.policy_approval a WHERE a.model = p.model AND a.number = p.number), '[]'::json) AS approvals
       FROM registry.policy_proposal p WHERE p.model = $1 ORDER BY p.number DESC LIMIT 1`,
      [inForce.model],
    );
    if (row?.base_revision !== inForce.revision) return undefined;
    const { number, at, actor, reason, approvals } = row;
    const policy = ModelPolicy.of(row.policy);
    const weakens = weakened(inForce.policy, policy);
    // To propose what is in force is to withdraw what was proposed.
    if (weakens.length === 0) return undefined;
    const etag = `"${inForce.revision}.${number}"`;
    const given = approvals.map((approval) => ({ ...approval, at: rfc3339(approval.at) }));
    return { number, etag, policy, weakens, at: rfc3339(at), actor, reason, approvals: given };
  }

  /** Proposes a policy instead of the one in force, and instead of what was proposed before. */
  async add(
    tx: EntityManager,
    actor: Actor,
    { model, revision }: PolicyRevision,
    { policy, reason }: Pick<PolicyProposal, 'policy' | 'reason'>,
  ): Promise<void> {
    await tx.query(
      `INSERT INTO registry.policy_proposal (model, number, base_revision, policy, at, actor, reason)
       SELECT $1, COALESCE((SELECT max(number) FROM registry.policy_proposal WHERE model = $1), 0) + 1, $2, $3, $4, $5, $6`,
      [model, revision, JSON.stringify(policy), timestamp(this.clock.now()), JSON.stringify(actor), reason],
    );
  }

  /** Adds an approval of what waits; the proposal with all that it has then. */
  async approve(tx: EntityManager, actor: Actor, inForce: PolicyRevision, reason: string): Promise<PolicyProposal> {
    await tx.query(
      `INSERT INTO registry.policy_approval (model, number, at, actor, reason)
       SELECT $1, max(number), $2, $3, $4 FROM registry.policy_proposal WHERE model = $1`,
      [inForce.model, timestamp(this.clock.now()), JSON.stringify(actor), reason],
    );
    const proposal = await this.waiting(tx, inForce);
    invariant(proposal, 'what was approved waits');
    return proposal;
  }
}
