import {
  ruleText,
  type ModelPolicy,
  type PolicyProposal,
  type PolicyRevision,
  type SyncRule,
  type SyncStatus,
} from '@sibyl/registry';
import { known, toActorView, toGivenApproval } from './model.view';

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

function toSyncStatusView(status: SyncStatus): Record<string, unknown> {
  return known({
    checked_at: status.checkedAt,
    next_at: status.dueAt,
    failures: status.failures,
    problem: status.problem,
    registry_uri: status.registryUri,
    registry_version: status.registryVersion,
    version: status.version,
    detail: status.detail,
  });
}

/** A policy with its members as a PUT takes them. */
export function toPolicyView(found: PolicyRevision): Record<string, unknown> {
  const { model, revision, etag, policy, at, actor, reason, approvals, proposal, syncStatus } = found;
  return known({
    model,
    revision,
    etag,
    ...membersOf(policy),
    sync_status: syncStatus && toSyncStatusView(syncStatus),
    set_at: at,
    set_by: actor && toActorView(actor),
    reason,
    set_approvals: approvals?.map(toGivenApproval),
    proposed: proposal && toProposalView(proposal),
  });
}

/** 202 where what was sent waits for approvals. */
export function statusOfPolicy({ proposal }: PolicyRevision): number {
  return proposal ? 202 : 200;
}

function membersOf(policy: ModelPolicy): Record<string, unknown> {
  return {
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
  };
}

function toProposalView({ etag, policy, weakens, at, actor, reason, approvals }: PolicyProposal): unknown {
  return {
    etag,
    policy: known(membersOf(policy)),
    weakens: weakens.map((member) => member.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)),
    proposed_at: at,
    proposed_by: toActorView(actor),
    reason,
    approvals: approvals.map(toGivenApproval),
  };
}
