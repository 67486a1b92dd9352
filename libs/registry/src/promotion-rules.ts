import type { EntityManager } from 'typeorm';
import { DomainError, type Actor, type FieldFault } from '@sibyl/kernel';
import type { GivenApproval } from './alias-event';
import { mayPromote, signatureRules, type ModelPolicy } from './model-policy';
import type { ModelPolicies } from './model-policies';
import { lacking, metricFaults } from './policy-check';
import { counting } from './version-approvals';
import type { PackageSignatures, StoredVersion } from './signing/package-signatures';
import type { SignatureRecord } from './signing/signature-policy';
import type { ModelVersion } from './model-version';

/** A version that an alias shall go to, the one that it points at now, and the policy of now: all that a promotion depends on. */
export interface PromotedVersion {
  readonly policy: ModelPolicy;
  readonly to: ModelVersion;
  readonly replaces: ModelVersion | undefined;
}

/** What a version has and lacks of what the policy of its model asks for. */
interface Judged {
  readonly approvals: readonly GivenApproval[];
  readonly lacks: readonly FieldFault[];
}

/** Holds promotions to the policy as it is now, whatever was asked when the version was validated. */
export class PromotionRules {
  constructor(
    private readonly policies: ModelPolicies,
    private readonly signatures: Pick<PackageSignatures, 'checkServable'>,
  ) {}

  async policyOf(tx: EntityManager, model: string): Promise<ModelPolicy> {
    return (await this.policies.of(tx, model)).policy;
  }

  /** The approvals that the version is promoted with; version_not_servable with all that it lacks. */
  require(step: PromotedVersion): readonly GivenApproval[] {
    const { approvals, lacks } = judge(step);
    if (lacks.length > 0) throw lacking(step.to.model, step.to.version, lacks);
    return approvals;
  }

  /**
   * What is found of the version's signature; version_not_servable where the policy refuses it. A version whose signer is trusted no
   * more is not promoted, though it goes on where it serves.
   */
  signatureOf(stored: StoredVersion, policy: ModelPolicy): Promise<SignatureRecord> {
    return this.signatures.checkServable(stored, signatureRules(policy));
  }

  /** Whether the actor may promote the version as it is. */
  lets(actor: Actor, alias: string, step: PromotedVersion): boolean {
    return mayPromote(step.policy, actor, alias) && judge(step).lacks.length === 0;
  }
}

function judge({ policy, to, replaces }: PromotedVersion): Judged {
  const counted = counting(to.approvals, to.registeredBy);
  const missing =
    counted.length < policy.approvals
      ? [
          {
            pointer: '/approvals',
            expected: `${policy.approvals} of persons other than who registered it`,
            received: String(counted.length),
          },
        ]
      : [];
  const replaced = replaces && { version: replaces.version, metrics: replaces.manifest.metrics ?? {} };
  return {
    approvals: counted.map(({ actor, at, reason }) => ({ actor, at, reason })),
    lacks: [...missing, ...metricFaults(policy, to.manifest.metrics ?? {}, replaced)],
  };
}

/** Throws policy_forbidden to whom the policy does not name. */
export function requirePromoter(
  policy: ModelPolicy,
  actor: Actor,
  { model, alias }: { readonly model: string; readonly alias: string },
): void {
  if (mayPromote(policy, actor, alias)) return;
  const detail = `Only those whom the policy of model '${model}' names as promoters may move its alias '${alias}'.`;
  throw new DomainError('policy_forbidden', detail);
}
