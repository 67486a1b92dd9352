import type { EntityManager } from 'typeorm';
import { timestamp, type Actor, type Clock } from '@sibyl/kernel';
import { samePerson } from './person';
import type { ModelPolicy } from './model-policy';
import type { PolicyRevision } from './policy-revision';
import type { Approval } from './model-version';
import type { PackageDigest } from './package-digest';

/** A version as far as its approvals need to know it. */
export interface Approvable {
  readonly model: string;
  readonly version: string;
  readonly digest: PackageDigest;
  /** Those that hold. */
  readonly approvals: readonly Approval[];
}

/** What an approval, or its end, rests on. */
export interface Grounds {
  readonly policy: PolicyRevision;
  readonly reason: string;
}

/** Who approved which bytes. Rows are only added: what ends approvals is a row that voids all before it. */
export class VersionApprovals {
  constructor(private readonly clock: Clock) {}

  /** Adds an approval, unless the same person's holds already; all that hold then. */
  async approve(tx: EntityManager, actor: Actor, version: Approvable, by: Grounds): Promise<readonly Approval[]> {
    const { approvals, digest } = version;
    if (approvals.some((approval) => samePerson(approval.actor, actor))) return approvals;
    const at = timestamp(this.clock.now());
    await this.append(tx, 'approve', actor, version, { ...by, at });
    return [...approvals, { actor, at, reason: by.reason, digest, policyRevision: by.policy.revision }];
  }

  /** Ends the approvals that hold, if there are any. */
  async void(tx: EntityManager, actor: Actor, version: Approvable, by: Grounds): Promise<void> {
    if (version.approvals.length > 0)
      await this.append(tx, 'void', actor, version, { ...by, at: timestamp(this.clock.now()) });
  }

  private async append(
    tx: EntityManager,
    kind: 'approve' | 'void',
    actor: Actor,
    { model, version, digest }: Approvable,
    { policy, reason, at }: Grounds & { readonly at: string },
  ): Promise<void> {
    await tx.query(
      `INSERT INTO registry.model_approval (model, version, kind, digest, policy_revision, at, actor, reason)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
      [model, version, kind, digest, policy.revision, at, JSON.stringify(actor), reason],
    );
  }
}

/** The approvals that count: one a person, and none of the person who brought what is approved. */
export function counting<T extends { readonly actor: Actor }>(approvals: readonly T[], by: Actor): T[] {
  const counted: T[] = [];
  for (const approval of approvals) {
    const known = [by, ...counted.map(({ actor }) => actor)];
    if (!known.some((actor) => samePerson(actor, approval.actor))) counted.push(approval);
  }
  return counted;
}

/** Whether the policy's approvals are there. */
export function approvedEnough(policy: ModelPolicy, approvals: readonly Approval[], registeredBy: Actor): boolean {
  return counting(approvals, registeredBy).length >= policy.approvals;
}
