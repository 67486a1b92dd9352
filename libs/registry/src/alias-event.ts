import type { Actor, FieldFault } from '@sibyl/kernel';
import type { PackageDigest } from './package-digest';
import { rfc3339 } from './version-rows';

/** One move of an alias; the latest one is what the alias is now. */
export interface AliasEvent {
  readonly model: string;
  readonly alias: string;
  /** What it points at from here on. */
  readonly version: string;
  readonly digest: PackageDigest;
  readonly kind: 'move' | 'rollback' | 'computed';
  /** What it pointed at before; absent for a new alias. */
  readonly from?: string;
  /** Counts the moves of this alias. */
  readonly revision: number;
  /** For If-Match, with its quotes; belongs to this state of the alias alone. */
  readonly etag: string;
  readonly at: string;
  readonly actor: Actor;
  readonly reason: string;
  /** In what it breaks callers of the version before, where the mover allowed that. */
  readonly breaking?: readonly FieldFault[];
  /** Who had approved the version when it was promoted. */
  readonly approvals?: readonly GivenApproval[];
}

/** An approval that something was done with. */
export interface GivenApproval {
  readonly actor: Actor;
  readonly at: string;
  readonly reason: string;
}

export interface AliasEventRow {
  readonly id: string | number;
  readonly model: string;
  readonly alias: string;
  readonly version: string;
  readonly digest: PackageDigest;
  readonly kind: 'move' | 'rollback';
  readonly from_version: string | null;
  readonly revision: number;
  readonly returns_to: string | number | null;
  readonly at: Date | string;
  readonly actor: Actor;
  readonly reason: string;
  readonly breaking: readonly FieldFault[] | null;
  readonly approvals: readonly GivenApproval[] | null;
}

/** The columns of an AliasEventRow, for a table or CTE called `e`. */
export const ALIAS_EVENT_COLUMNS = `e.id, e.model, e.alias, e.version, e.digest, e.kind, e.from_version, e.revision, e.returns_to,
  e.at, e.actor, e.reason, e.breaking, e.approvals`;

export function aliasEventOf(row: AliasEventRow): AliasEvent {
  return {
    model: row.model,
    alias: row.alias,
    version: row.version,
    digest: row.digest,
    kind: row.kind,
    ...(row.from_version === null ? {} : { from: row.from_version }),
    revision: row.revision,
    etag: `"${row.revision}"`,
    at: rfc3339(row.at),
    actor: row.actor,
    reason: row.reason,
    ...(row.breaking === null ? {} : { breaking: row.breaking }),
    ...(row.approvals === null ? {} : { approvals: row.approvals }),
  };
}
