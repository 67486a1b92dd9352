import {
  ModelPolicy,
  POLICY_ENTRIES,
  readRules,
  readSync,
  SIGNATURE_POLICIES,
  type SignaturePolicy,
} from '@sibyl/registry';
import { ChoiceField, ListField, NestedField, TextField, TextListField, WholeField } from '../http/fields';
import { ReasonBody } from './model.dto';

const NAMES = { most: POLICY_ENTRIES, max: 256, optional: true };

/** How a model follows another one in an MLflow registry. */
export class SyncBody {
  @TextField({ description: 'Name of the model there.', example: 'churn', max: 256 })
  name: string;

  @TextField({
    description:
      'The MLflow server; left out: that of `MLFLOW_TRACKING_URI`. Another one must be among `SIBYL_IMPORT_HOSTS`.',
    example: 'https://mlflow.example.com',
    max: 512,
    optional: true,
  })
  registry_uri?: string;

  @TextListField({
    description: 'Stages whose newest version is wanted. Left out, without an alias: `Production`.',
    most: 10,
    max: 64,
    optional: true,
  })
  stages?: string[];

  @TextField({ description: 'An alias there, instead of stages.', example: 'champion', max: 256, optional: true })
  alias?: string;

  @TextListField({
    description:
      'Stages that a version is taken from where the wanted one has none; answers of such a version are `degraded`. Left out: `Production`, `Staging`, `None`.',
    most: 10,
    max: 64,
    optional: true,
  })
  fallback?: string[];

  @WholeField({ description: 'How often MLflow is asked.', min: 10, max: 2_592_000, fallback: 3600, optional: true })
  ttl_seconds?: number;

  @TextField({
    description:
      'The alias here that is moved to each version that comes, as far as the policy lets it. Left out: none.',
    example: 'production',
    max: 64,
    optional: true,
  })
  promote?: string;
}

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

  @NestedField(
    { description: 'The model of an MLflow registry that this one follows.', optional: true },
    () => SyncBody,
  )
  sync?: SyncBody;
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
    sync: body.sync ? readSync({ ...body.sync }) : undefined,
  });
}
