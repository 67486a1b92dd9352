import type { EntityManager } from 'typeorm';
import type { Database } from '@sibyl/database';
import { invariant, type Actor } from '@sibyl/kernel';
import type { ModelPolicy } from '../model-policy';
import { definedOnly } from '../optional';
import { rfc3339 } from '../version-rows';
import type { SyncRule } from './sync-rule';

/** A model whose turn it is, taken by this process until its lease ends. */
export interface DueSync {
  readonly model: string;
  readonly rule: SyncRule;
  /** Of the policy that the rule is from. */
  readonly revision: number;
  /** Who made the model follow as it does. */
  readonly setBy: Actor;
  readonly failures: number;
  /** What was dealt with last; undefined where nothing was, or another thing was followed then. */
  readonly last: DealtWith | undefined;
}

/** A version of a registry, and what it became here or why it could not. */
export interface DealtWith {
  /** The server that counts the versions. */
  readonly registryUri: string;
  readonly registryVersion: string;
  readonly version: string | null;
  readonly detail: string | null;
}

export interface SyncOutcome {
  readonly failures: number;
  readonly dueInMs: number;
  /** Absent: the registry could not be asked, and what was dealt with before stands. */
  readonly last?: DealtWith;
  /** Why it could not. */
  readonly problem?: string;
}

/** How far a model that follows a registry has come. */
export interface SyncStatus {
  /** When the registry was asked last, with an answer or without. */
  readonly checkedAt: string;
  /** When it is asked again. */
  readonly dueAt: string;
  /** Times in a row that it could not be asked. */
  readonly failures: number;
  /** Why, the last time. */
  readonly problem?: string;
  readonly registryUri?: string;
  /** The version there that was dealt with last. */
  readonly registryVersion?: string;
  /** What it became here. */
  readonly version?: string;
  /** Why it became nothing, or was not promoted. */
  readonly detail?: string;
}

interface StatusRow extends StateRow {
  readonly checked_at: Date | string;
  readonly due_at: Date | string;
  readonly problem: string | null;
}

interface PolicyRow {
  readonly model: string;
  readonly revision: number;
  readonly policy: Partial<ModelPolicy>;
}

interface StateRow {
  readonly failures: number;
  readonly registry_uri: string | null;
  readonly registry_version: string | null;
  readonly version: string | null;
  readonly detail: string | null;
}

/** Whether the revision that was seen last and the one of now follow the same in the same way. */
const SAME_SYNC = `(SELECT count(DISTINCT p.policy->>'sync') FROM registry.model_policy p
  WHERE p.model = s.model AND p.revision IN (s.policy_revision, $2)) <= 1`;

/**
 * Whose turn it is, kept in the database. The lease is one statement of one row, so it holds for all processes and servers, needs no
 * connection while megabytes flow, and ends by itself when its holder dies. Times are the database's: clocks of servers differ.
 */
export class SyncState {
  constructor(
    private readonly database: Database,
    private readonly leaseMs: number,
  ) {}

  /** Takes what is due, one model after the other. */
  async *due(): AsyncGenerator<DueSync> {
    const rows = await this.database.query<PolicyRow>(
      `SELECT * FROM (SELECT DISTINCT ON (model) model, revision, policy FROM registry.model_policy
         ORDER BY model, revision DESC) p WHERE p.policy->'sync' IS NOT NULL ORDER BY model LIMIT 10000`,
    );
    for (const { model, revision, policy } of rows) {
      if (!policy.sync) continue;
      const state = await this.take(model, revision);
      if (!state) continue;
      const setBy = await this.setBy(model, revision);
      yield { model, rule: policy.sync, revision, setBy, failures: state.failures, last: dealtWith(state) };
    }
  }

  async finish(
    { model, last: before }: DueSync,
    { failures, dueInMs, last = before, problem }: SyncOutcome,
  ): Promise<void> {
    await this.database.query(
      `UPDATE registry.model_sync SET lease_until = 'epoch', failures = $2, due_at = now() + $3 * interval '1 ms', checked_at = now(),
         registry_uri = $4, registry_version = $5, version = $6, detail = $7, problem = $8
       WHERE model = $1`,
      [
        ...[model, failures, dueInMs, last?.registryUri ?? null, last?.registryVersion ?? null],
        ...[last?.version ?? null, last?.detail ?? null, problem ?? null],
      ],
    );
  }

  /** Who set the first of the revisions that follow the same in the same way up to this one: who edits another member is not it. */
  private async setBy(model: string, revision: number): Promise<Actor> {
    const [row] = await this.database.query<{ readonly actor: Actor }>(
      `SELECT p.actor FROM registry.model_policy p WHERE p.model = $1 AND p.revision > COALESCE((
         SELECT max(q.revision) FROM registry.model_policy q
         JOIN registry.model_policy r ON r.model = q.model AND r.revision = $2
         WHERE q.model = $1 AND q.revision < $2 AND q.policy->>'sync' IS DISTINCT FROM r.policy->>'sync'), 0)
       ORDER BY p.revision LIMIT 1`,
      [model, revision],
    );
    invariant(row, 'a revision that was read is there');
    return row.actor;
  }

  /** A new policy is due at once; it begins anew where what it follows has changed, not where a person only edited another member. */
  private async take(model: string, revision: number): Promise<StateRow | undefined> {
    const [row] = await this.database.query<StateRow>(
      `INSERT INTO registry.model_sync AS s (model, policy_revision, due_at, lease_until)
         VALUES ($1, $2, now(), now() + $3 * interval '1 ms')
       ON CONFLICT (model) DO UPDATE SET lease_until = excluded.lease_until, policy_revision = $2,
         failures = CASE WHEN s.policy_revision = $2 THEN s.failures ELSE 0 END,
         registry_version = CASE WHEN ${SAME_SYNC} THEN s.registry_version END,
         checked_at = CASE WHEN ${SAME_SYNC} THEN s.checked_at END
       WHERE s.lease_until <= now() AND (s.due_at <= now() OR s.policy_revision <> $2)
       RETURNING s.failures, s.registry_uri, s.registry_version, s.version, s.detail`,
      [model, revision, this.leaseMs],
    );
    return row;
  }
}

/** What is known of a model by this revision of its policy; undefined until its registry was asked. */
export async function syncStatus(tx: EntityManager, model: string, revision: number): Promise<SyncStatus | undefined> {
  const [row] = await tx.query<StatusRow[]>(
    `SELECT checked_at, due_at, failures, problem, registry_uri, registry_version, version, detail
     FROM registry.model_sync s WHERE model = $1 AND checked_at IS NOT NULL AND ${SAME_SYNC}`,
    [model, revision],
  );
  if (!row) return undefined;
  const { registryUri, registryVersion, version, detail } = dealtWith(row) ?? {};
  return definedOnly({
    checkedAt: rfc3339(row.checked_at),
    dueAt: rfc3339(row.due_at),
    failures: row.failures,
    problem: row.problem ?? undefined,
    ...{ registryUri, registryVersion, version: version ?? undefined, detail: detail ?? undefined },
  });
}

function dealtWith({ registry_uri: registryUri, registry_version: registryVersion, version, detail }: StateRow) {
  if (registryUri === null || registryVersion === null) return undefined;
  return { registryUri, registryVersion, version, detail };
}
