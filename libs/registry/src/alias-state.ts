import type { EntityManager } from 'typeorm';
import { ALIAS_EVENT_COLUMNS, type AliasEventRow } from './alias-event';
import type { StoredStatus } from './model-version';
import type { PackageDigest } from './package-digest';

/** A version that an alias may go to. */
export interface Target {
  readonly version: string;
  readonly digest: PackageDigest;
  readonly status: StoredStatus;
  /** Of its last validation. */
  readonly passed: boolean | null;
}

/** Where an alias is; undefined where there is none. */
export async function presentOf(tx: EntityManager, model: string, alias: string): Promise<AliasEventRow | undefined> {
  const [row] = await tx.query<AliasEventRow[]>(
    `SELECT ${ALIAS_EVENT_COLUMNS} FROM registry.model_alias a JOIN registry.alias_event e ON e.id = a.event
     WHERE a.model = $1 AND a.alias = $2`,
    [model, alias],
  );
  return row;
}

/** In one look, for rollbacks are waited for: where an alias is, and the version before with the event that it returns to. */
export async function stepBack(
  tx: EntityManager,
  model: string,
  alias: string,
): Promise<{ present?: AliasEventRow; to?: Target; returnsTo: AliasEventRow['returns_to'] }> {
  const [row] = await tx.query<(AliasEventRow & { before: Target | null; before_returns_to: string | null })[]>(
    `SELECT ${ALIAS_EVENT_COLUMNS}, b.returns_to AS before_returns_to,
       CASE WHEN v.version IS NOT NULL THEN json_build_object('version', v.version, 'digest', v.digest, 'status', v.status,
         'passed', (v.report->>'passed')::boolean) END AS before
     FROM registry.model_alias a JOIN registry.alias_event e ON e.id = a.event
     LEFT JOIN registry.alias_event b ON b.id = e.returns_to
     LEFT JOIN registry.model_version v ON v.model = b.model AND v.version = b.version
     WHERE a.model = $1 AND a.alias = $2`,
    [model, alias],
  );
  if (!row) return { returnsTo: null };
  return { present: row, ...(row.before ? { to: row.before } : {}), returnsTo: row.before_returns_to };
}
