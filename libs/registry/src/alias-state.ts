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

export interface StepBack {
  readonly present?: AliasEventRow;
  readonly to?: Target;
  readonly returnsTo: AliasEventRow['returns_to'];
  readonly last?: Pick<Target, 'version' | 'status'>;
}

type StepRow = AliasEventRow & {
  readonly before: Target | null;
  readonly before_returns_to: string | null;
  readonly last_version: string | null;
  readonly last_status: StoredStatus | null;
};

/** Where an alias is; undefined where there is none. */
export async function presentOf(tx: EntityManager, model: string, alias: string): Promise<AliasEventRow | undefined> {
  const [row] = await tx.query<AliasEventRow[]>(
    `SELECT ${ALIAS_EVENT_COLUMNS} FROM registry.model_alias a JOIN registry.alias_event e ON e.id = a.event
     WHERE a.model = $1 AND a.alias = $2`,
    [model, alias],
  );
  return row;
}

/**
 * In one look, for rollbacks are waited for: where an alias is, the version that a rollback leads to with the event that it returns
 * to, and the one that lies before, whatever has become of it.
 */
export async function stepBack(tx: EntityManager, model: string, alias: string): Promise<StepBack> {
  const [row] = await tx.query<StepRow[]>(
    `SELECT ${ALIAS_EVENT_COLUMNS}, b.returns_to AS before_returns_to, d.version AS last_version, w.status AS last_status,
       CASE WHEN v.version IS NOT NULL THEN json_build_object('version', v.version, 'digest', v.digest, 'status', v.status,
         'passed', (v.report->>'passed')::boolean) END AS before
     FROM registry.model_alias a JOIN registry.alias_event e ON e.id = a.event
     LEFT JOIN registry.alias_event b ON b.id = registry.rollback_target(e.id)
     LEFT JOIN registry.model_version v ON v.model = b.model AND v.version = b.version
     LEFT JOIN registry.alias_event d ON d.id = e.returns_to
     LEFT JOIN registry.model_version w ON w.model = d.model AND w.version = d.version
     WHERE a.model = $1 AND a.alias = $2`,
    [model, alias],
  );
  if (!row) return { returnsTo: null };
  const { before, before_returns_to: returnsTo, last_version: version, last_status: status } = row;
  const last = version !== null && status !== null ? { last: { version, status } } : {};
  return { present: row, ...last, ...(before ? { to: before } : {}), returnsTo };
}
