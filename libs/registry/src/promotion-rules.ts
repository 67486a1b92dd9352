import type { EntityManager } from 'typeorm';
import { DomainError, type Actor, type FieldFault } from '@sibyl/kernel';
import type { GivenApproval } from './alias-event';
import { mayPromote } from './model-policy';
import type { ModelPolicies } from './model-policies';
import { lacking, metricFaults } from './policy-check';
import { counting } from './version-approvals';
import type { PackageSignatures } from './signing/package-signatures';
import type { SignatureRecord } from './signing/signature-policy';
import { versionOf, versionRow } from './version-rows';

/** Where an alias shall go, and what it points at now. */
export interface PromotedVersion {
  readonly model: string;
  readonly alias: string;
  readonly version: string;
  readonly replaces: string | undefined;
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
    private readonly signatures: Pick<PackageSignatures, 'checkStored'>,
  ) {}

  /** Throws policy_forbidden to whom the policy does not name. */
  async requirePromoter(tx: EntityManager, actor: Actor, model: string, alias: string): Promise<void> {
    const { policy } = await this.policies.of(tx, model);
    if (mayPromote(policy, actor, alias)) return;
    const detail = `Only those whom the policy of model '${model}' names as promoters may move its alias '${alias}'.`;
    throw new DomainError('policy_forbidden', detail);
  }

  /** The approvals that the version is promoted with; version_not_servable with all that it lacks. */
  async require(tx: EntityManager, step: PromotedVersion): Promise<readonly GivenApproval[]> {
    const { approvals, lacks } = await this.judge(tx, step);
    if (lacks.length > 0) throw lacking(step.model, step.version, lacks);
    return approvals;
  }

  /**
   * What is found of the version's signature; model_rejected where the policy refuses it. A version whose signer is trusted no
   * more is not promoted, though it goes on where it serves.
   */
  async requireSignature(tx: EntityManager, model: string, version: string): Promise<SignatureRecord | undefined> {
    const row = await versionRow(tx, model, version);
    return row && this.signatures.checkStored({ model, digest: row.digest, files: row.files }, tx);
  }

  /** Whether the actor may promote the version as it is. */
  async lets(tx: EntityManager, actor: Actor, step: PromotedVersion): Promise<boolean> {
    const { policy } = await this.policies.of(tx, step.model);
    return mayPromote(policy, actor, step.alias) && (await this.judge(tx, step)).lacks.length === 0;
  }

  private async judge(tx: EntityManager, { model, version, replaces }: PromotedVersion): Promise<Judged> {
    const { policy } = await this.policies.of(tx, model);
    const row = await versionRow(tx, model, version);
    if (!row) return { approvals: [], lacks: [] };
    const { approvals, registeredBy, manifest } = versionOf(row);
    const counted = counting(approvals, registeredBy);
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
    const current = replaces === undefined ? undefined : await versionRow(tx, model, replaces);
    const replaced = current && { version: current.version, metrics: versionOf(current).manifest.metrics ?? {} };
    return {
      approvals: counted.map(({ actor, at, reason }) => ({ actor, at, reason })),
      lacks: [...missing, ...metricFaults(policy, manifest.metrics ?? {}, replaced)],
    };
  }
}
