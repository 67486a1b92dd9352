import { ModelPolicy, POLICY_ENTRIES, readRules, SIGNATURE_POLICIES, type SignaturePolicy } from '@sibyl/registry';
import { ChoiceField, ListField, TextListField, WholeField } from '../http/fields';
import { ReasonBody } from './model.dto';

const NAMES = { most: POLICY_ENTRIES, max: 256, optional: true };

/** A policy replaces the one before whole: members left out have their defaults. */
export class SetPolicyBody extends ReasonBody {
  @ListField({
    description: 'What the metrics of the manifest must keep: `accuracy >= 0.7`, or `{metric, op, value}`.',
    example: ['accuracy >= 0.7'],
    most: POLICY_ENTRIES,
    optional: true,
  })
  metrics?: unknown[];

  @ListField({
    description:
      'Metrics in which a version may not be worse than the one that it would replace, by more than `margin`.',
    example: [{ metric: 'accuracy', better: 'higher', margin: 0.01 }],
    most: POLICY_ENTRIES,
    optional: true,
  })
  no_worse_than_current?: unknown[];

  @WholeField({
    description: 'Persons who must approve a version before an alias may point at it; never who registered it.',
    min: 0,
    max: 2,
    fallback: 0,
    optional: true,
  })
  approvals?: number;

  @TextListField({
    description: 'Aliases that only `promoters` may move; none named: all of them, where there are promoters.',
    example: ['production'],
    ...NAMES,
  })
  protected_aliases?: string[];

  @TextListField({
    description:
      'Who may move those aliases and change this policy: `key:<id>`, `owner:<owner>` or `role:<role>`. Empty: any key with the scope.',
    example: ['owner:risk team'],
    ...NAMES,
  })
  promoters?: string[];

  @WholeField({
    description: 'How many of the versions that aliases pointed at before stay loaded.',
    min: 0,
    max: 10,
    fallback: 0,
    optional: true,
  })
  keep_warm?: number;

  @WholeField({
    description:
      'After a promotion all but the newest so many versions are archived, where nothing needs them; 0: none.',
    min: 0,
    max: 1000,
    fallback: 0,
    optional: true,
  })
  auto_archive?: number;

  @ChoiceField({
    description:
      'What is asked of the signatures of packages: nothing; that one that is there holds; that there is one. Where the server asks for more, that holds.',
    of: SIGNATURE_POLICIES,
    fallback: 'none',
    optional: true,
  })
  signature?: SignaturePolicy;

  @TextListField({
    description: 'Trusted keys that may sign, by name or `sha256:` fingerprint; none named: all of them.',
    example: ['risk-team'],
    ...NAMES,
  })
  signers?: string[];
}

/** The policy that a body asks for. Throws invalid_parameter for rules that cannot be read. */
export function policyOf(body: SetPolicyBody): ModelPolicy {
  const { metrics = [], no_worse_than_current: noWorse = [], approvals = 0, protected_aliases = [] } = body;
  return ModelPolicy.of({
    ...readRules(metrics, noWorse),
    approvals,
    protectedAliases: protected_aliases,
    promoters: body.promoters ?? [],
    keepWarm: body.keep_warm ?? 0,
    autoArchive: body.auto_archive ?? 0,
    signature: body.signature ?? 'none',
    signers: body.signers ?? [],
  });
}
