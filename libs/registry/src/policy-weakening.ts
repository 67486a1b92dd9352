import type { MetricRule, NoWorseRule } from './metric-rule';
import type { ModelPolicy } from './model-policy';
import { SIGNATURE_POLICIES } from './signing/signature-policy';

/** Whether a change of a member lets through what was held up before, or lets others decide. */
type Weakens = (before: ModelPolicy, after: ModelPolicy) => boolean;

/** Of every member: one that is added later has to be decided on here. */
const WEAKENS: Readonly<Record<keyof ModelPolicy, Weakens>> = {
  metrics: (before, after) => !before.metrics.every((rule) => after.metrics.some((other) => asStrict(other, rule))),
  noWorseThanCurrent: (before, after) =>
    !before.noWorseThanCurrent.every((rule) => after.noWorseThanCurrent.some((other) => asClose(other, rule))),
  approvals: (before, after) => after.approvals < before.approvals,
  protectedAliases: unprotects,
  // Fewer of them too: one of several would have the model to himself.
  promoters: (before, after) => !sameWords(before.promoters, after.promoters),
  keepWarm: () => false,
  autoArchive: () => false,
  signature: (before, after) =>
    SIGNATURE_POLICIES.indexOf(after.signature) < SIGNATURE_POLICIES.indexOf(before.signature),
  signers: ({ signers: before }, { signers: after }) =>
    before.length > 0 && (after.length === 0 || !after.every((signer) => before.includes(signer))),
  // What comes from elsewhere is held to the same rules.
  sync: () => false,
};

/** The members in which a policy would ask for less than the one in force. */
export function weakened(before: ModelPolicy, after: ModelPolicy): (keyof ModelPolicy)[] {
  return (Object.keys(WEAKENS) as (keyof ModelPolicy)[]).filter((member) => WEAKENS[member](before, after));
}

function asStrict(rule: MetricRule, than: MetricRule): boolean {
  if (rule.metric !== than.metric || rule.op !== than.op) return false;
  if (rule.op === '==') return rule.value === than.value;
  return rule.op.startsWith('>') ? rule.value >= than.value : rule.value <= than.value;
}

function asClose(rule: NoWorseRule, than: NoWorseRule): boolean {
  return rule.metric === than.metric && rule.better === than.better && rule.margin <= than.margin;
}

// Without names all aliases are protected, where there is anybody to protect them for.
function unprotects(before: ModelPolicy, after: ModelPolicy): boolean {
  if (before.promoters.length === 0 || after.protectedAliases.length === 0) return false;
  const { protectedAliases: names } = before;
  return names.length === 0 || !names.every((alias) => after.protectedAliases.includes(alias));
}

function sameWords(a: readonly string[], b: readonly string[]): boolean {
  return a.every((word) => b.includes(word)) && b.every((word) => a.includes(word));
}
