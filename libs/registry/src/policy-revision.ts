import type { Actor } from '@sibyl/kernel';
import type { GivenApproval } from './alias-event';
import type { ModelPolicy } from './model-policy';
import type { SyncStatus } from './sync/sync-state';

/** The policy of a model as it was set; revision 0 is that of a model whose policy nobody has set. */
export interface PolicyRevision {
  readonly model: string;
  readonly revision: number;
  /** For If-Match, with its quotes. */
  readonly etag: string;
  readonly policy: ModelPolicy;
  readonly at?: string;
  readonly actor?: Actor;
  readonly reason?: string;
  /** Who approved it, where it was weaker than the one before. */
  readonly approvals?: readonly GivenApproval[];
  /** A weaker one that waits for approvals; only where it was asked for. */
  readonly proposal?: PolicyProposal | undefined;
  /** How far it has come with what it follows; only where it was asked for. */
  readonly syncStatus?: SyncStatus | undefined;
}

/** A weaker policy that waits for as many approvals as the one in force asks for. */
export interface PolicyProposal {
  readonly number: number;
  /** For If-Match, with its quotes; belongs to this proposal and the revision that it would replace. */
  readonly etag: string;
  readonly policy: ModelPolicy;
  /** The members in which it asks for less. */
  readonly weakens: readonly (keyof ModelPolicy)[];
  readonly at: string;
  readonly actor: Actor;
  readonly reason: string;
  readonly approvals: readonly GivenApproval[];
}
