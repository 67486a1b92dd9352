import { DomainError, type Actor } from '@sibyl/kernel';
import { FaultList, pointerTo } from './json-document';
import { checkAlias } from './names';
import type { SignaturePolicy, SignatureRules } from './signing/signature-policy';
import type { SyncRule } from './sync/sync-rule';
import type { MetricRule, NoWorseRule } from './metric-rule';

/** What a model asks of its versions before an alias may point at them, and who may move its aliases. */
export class ModelPolicy {
  /** Rules that the metrics of the manifest must keep. */
  readonly metrics: readonly MetricRule[] = [];
  /** Metrics in which a version may not be worse than the one it would replace. */
  readonly noWorseThanCurrent: readonly NoWorseRule[] = [];
  /** Distinct persons, none of them who registered the version, who must approve it before an alias may point at it. */
  readonly approvals: number = 0;
  /** Aliases that only promoters may move; none named: all of them, where there are promoters. */
  readonly protectedAliases: readonly string[] = [];
  /** Who may move those, and who may change this policy: `key:<id>`, `owner:<owner>`, `role:<role>`. Empty: any key with the scope. */
  readonly promoters: readonly string[] = [];
  /** How many of the versions that aliases pointed at before stay loaded, so that a rollback takes no load. */
  readonly keepWarm: number = 0;
  /** After a promotion, all but the newest so many versions are archived, where nothing needs them; 0: none ever is. */
  readonly autoArchive: number = 0;

  /** What is asked of the signatures of its packages; where the server asks for more, that holds. */
  readonly signature: SignaturePolicy = 'none';
  /** Trusted keys that may sign them, by name or fingerprint; none named: all of them. */
  readonly signers: readonly string[] = [];
  /** The model of an MLflow registry that it follows. */
  readonly sync: SyncRule | undefined = undefined;

  /** A policy with these members, and the defaults for all others: also for rows from before a member existed. */
  static of(members: Partial<ModelPolicy>): ModelPolicy {
    return Object.assign(new ModelPolicy(), members);
  }
}

/** Limits of lists in a policy: more is a mistake, not a policy. */
export const POLICY_ENTRIES = 50;

const PROMOTER = /^(?:key|owner|role):.{1,200}$/su;

/** Refuses a policy whose members cannot mean anything together. Throws invalid_parameter. */
export function checkPolicy(policy: ModelPolicy): void {
  const faults = new FaultList();
  if (policy.sync?.promote !== undefined) checkAlias(policy.sync.promote);
  policy.promoters.forEach((promoter, i) => {
    if (!PROMOTER.test(promoter) || promoter.includes('\0'))
      faults.add(pointerTo('/promoters', i), 'key:<id>, owner:<owner> or role:<role>', promoter);
  });
  if (policy.protectedAliases.length > 0 && policy.promoters.length === 0)
    faults.add('/promoters', 'whoever may move the protected aliases', undefined);
  if (faults.none) return;
  throw new DomainError('invalid_parameter', 'The policy cannot be kept.', { faults: faults.faults });
}

/** What the policy says of signatures. */
export function signatureRules({ signature, signers }: ModelPolicy): SignatureRules {
  return { policy: signature, signers: signers.length === 0 ? undefined : signers };
}

/** Whether the policy lets somebody move this alias; without an alias: change the policy itself. */
export function mayPromote(policy: ModelPolicy, actor: Actor, alias?: string): boolean {
  const { promoters, protectedAliases } = policy;
  if (promoters.length === 0) return true;
  if (alias !== undefined && protectedAliases.length > 0 && !protectedAliases.includes(alias)) return true;
  return promoters.some((promoter) => isPromoter(promoter, actor));
}

function isPromoter(promoter: string, { keyId, owner, role }: Actor): boolean {
  const [kind] = promoter.split(':', 1);
  const who = promoter.slice(promoter.indexOf(':') + 1);
  return who === { key: keyId, owner, role }[kind ?? ''];
}
