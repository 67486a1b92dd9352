import type { Database } from '@sibyl/database';
import type { ModelPolicies } from '../model-policies';
import { ModelPolicy, signatureRules } from '../model-policy';
import type { SignatureParts } from './package-signatures';
import type { SignatureRules } from './signature-policy';

interface RulesRow {
  readonly model: string;
  readonly policy: Partial<ModelPolicy>;
}

/** What the policies of models say of signatures: of one as it is now, or of all in one query. */
export function rulesFrom(database: Database, policies: ModelPolicies): Pick<SignatureParts, 'rulesOf' | 'allRules'> {
  return {
    rulesOf: async (model: string) => signatureRules((await policies.of(undefined, model)).policy),
    allRules: async () => {
      const rows = await database.query<RulesRow>(
        'SELECT DISTINCT ON (model) model, policy FROM registry.model_policy ORDER BY model, revision DESC',
      );
      return new Map(
        rows.map(({ model, policy }): [string, SignatureRules] => [model, signatureRules(ModelPolicy.of(policy))]),
      );
    },
  };
}
