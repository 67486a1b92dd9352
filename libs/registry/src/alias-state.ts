import type { EntityManager } from 'typeorm';
import { ALIAS_EVENT_COLUMNS, type AliasEventRow } from './alias-event';
import { ModelPolicy } from './model-policy';
import type { StoredStatus } from './model-version';
import { lookupName } from './names';
import type { PackageDigest, PackageFile } from './package-digest';
import type { Look } from './registry-change';

/** A version that an alias may go to. */
export interface Target {
  readonly version: string;
  readonly digest: PackageDigest;
  readonly status: StoredStatus;
  /** Of its last validation. */
  readonly passed: boolean | null;
}

/** All that a rollback depends on. */
export interface StepBack {
  /** Absent: there is no such alias. */
  readonly present?: AliasEventRow;
  /** Where the rollback leads; absent where nothing before may serve. */
  readonly to?: PackagedTarget;
  /** The event that the rollback returns to. */
  readonly returnsTo: AliasEventRow['returns_to'];
  /** What lies before, whatever has become of it. */
  readonly last?: Pick<Target, 'version' | 'status'>;
  readonly policy: ModelPolicy;
}

interface PackagedTarget extends Target {
  readonly files: readonly PackageFile[];
}

type StepBackRow = Omit<AliasEventRow, 'alias'> & {
  readonly alias: string | null;
  readonly before: PackagedTarget | null;
  readonly before_returns_to: string | null;
  readonly last_version: string | null;
  readonly last_status: StoredStatus | null;
  readonly policy: Partial<ModelPolicy> | null;
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

/** In one look, for rollbacks are waited for: where an alias is, and where it would go back to. Undefined where there is no such model. */
export async function stepBack(look: Look, model: string, alias: string): Promise<StepBack | undefined> {
  const [row] = await look<StepBackRow>(
    `SELECT ${ALIAS_EVENT_COLUMNS}, b.returns_to AS before_returns_to, d.version AS last_version, w.status AS last_status, p.policy,
       CASE WHEN v.version IS NOT NULL THEN json_build_object('version', v.version, 'digest', v.digest, 'status', v.status,
         'passed', (v.report->>'passed')::boolean, 'files', v.files) END AS before
     FROM registry.model m
     LEFT JOIN registry.model_alias a ON a.model = m.name AND a.alias = $2
     LEFT JOIN registry.alias_event e ON e.id = a.event
     LEFT JOIN registry.alias_event b ON b.id = registry.rollback_target(e.id)
     LEFT JOIN registry.model_version v ON v.model = b.model AND v.version = b.version
     LEFT JOIN registry.alias_event d ON d.id = e.returns_to
     LEFT JOIN registry.model_version w ON w.model = d.model AND w.version = d.version
     LEFT JOIN LATERAL (SELECT policy FROM registry.model_policy WHERE model = m.name ORDER BY revision DESC LIMIT 1) p ON true
     WHERE m.name = $1`,
    [lookupName(model), alias],
  );
  if (!row) return undefined;
  const policy = ModelPolicy.of(row.policy ?? {});
  const { alias: known, before, before_returns_to: returnsTo, last_version: version, last_status: status } = row;
  if (known === null) return { policy, returnsTo: null };
  const last = version !== null && status !== null ? { last: { version, status } } : {};
  return { present: { ...row, alias: known }, ...last, ...(before ? { to: before } : {}), returnsTo, policy };
}
