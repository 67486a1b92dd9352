import { ruleText, type PolicyRevision, type SyncRule } from '@sibyl/registry';
import { known, toActorView } from './model.view';

function toSyncView(sync: SyncRule): Record<string, unknown> {
  return known({
    name: sync.name,
    registry_uri: sync.registryUri,
    stages: sync.stages,
    alias: sync.alias,
    fallback: sync.fallback,
    ttl_seconds: sync.ttlSeconds,
    promote: sync.promote,
  });
}

/** A policy with its members as a PUT takes them. */
export function toPolicyView({
  model,
  revision,
  etag,
  policy,
  at,
  actor,
  reason,
}: PolicyRevision): Record<string, unknown> {
  return known({
    model,
    revision,
    etag,
    metrics: policy.metrics.map(ruleText),
    no_worse_than_current: policy.noWorseThanCurrent,
    approvals: policy.approvals,
    protected_aliases: policy.protectedAliases,
    promoters: policy.promoters,
    keep_warm: policy.keepWarm,
    auto_archive: policy.autoArchive,
    signature: policy.signature,
    signers: policy.signers,
    sync: policy.sync && toSyncView(policy.sync),
    set_at: at,
    set_by: actor && toActorView(actor),
    reason,
  });
}
