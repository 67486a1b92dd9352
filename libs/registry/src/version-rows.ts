import type { EntityManager } from 'typeorm';
import { timestamp, type Actor } from '@sibyl/kernel';
import type { OnnxModel } from '@sibyl/onnx';
import type { ModelSignature } from '@sibyl/protocol';
import { withClasses, type DerivedModel } from './derived-model';
import type { JsonObject } from './json-document';
import { storedManifest } from './manifest-reader';
import {
  isServable,
  type Deletion,
  type ModelVersion,
  type StoredStatus,
  type ValidationReport,
} from './model-version';
import { lookupName } from './names';
import { definedOnly } from './optional';
import type { SignatureRecord } from './signing/signature-policy';
import type { PackageDigest, PackageFile } from './package-digest';
import type { VersionSource } from './sources/remote-package';

/** A row of model_version with the names of the aliases that point at it. */
export interface VersionRow {
  readonly model: string;
  readonly version: string;
  readonly arrival: string | number;
  readonly status: StoredStatus;
  readonly digest: PackageDigest;
  readonly manifest: JsonObject;
  readonly files: readonly PackageFile[];
  readonly onnx: OnnxModel;
  readonly signature: ModelSignature;
  readonly derived: DerivedModel | null;
  readonly feature_set: string | null;
  readonly report: ValidationReport | null;
  readonly package_signature: SignatureRecord | null;
  readonly registered_at: Date | string;
  readonly registered_by: Actor;
  readonly validated_at: Date | string | null;
  readonly changed_at: Date | string;
  readonly changed_by: Actor;
  readonly revision: number;
  readonly deletion: Deletion | null;
  readonly artifact: { readonly intact: boolean; readonly checked_at: string } | null;
  readonly source: VersionSource | null;
  readonly aliases: readonly string[];
  readonly approvals: readonly ApprovalRow[];
}

interface ApprovalRow {
  readonly actor: Actor;
  readonly at: string;
  readonly reason: string;
  readonly digest: PackageDigest;
  readonly policy_revision: number;
}

const ALIASES = `COALESCE((SELECT json_agg(a.alias ORDER BY a.alias) FROM registry.model_alias a
  WHERE a.model = v.model AND a.version = v.version), '[]'::json) AS aliases`;

const ARTIFACT = `(SELECT json_build_object('intact', c.intact, 'checked_at', c.checked_at) FROM registry.artifact_check c
  WHERE c.digest = v.digest) AS artifact`;

/** What voids approvals is a row behind them. */
const APPROVALS = `COALESCE((SELECT json_agg(json_build_object('actor', p.actor, 'at', p.at, 'reason', p.reason, 'digest', p.digest,
    'policy_revision', p.policy_revision) ORDER BY p.id) FROM registry.model_approval p
  WHERE p.model = v.model AND p.version = v.version AND p.digest = v.digest AND p.kind = 'approve'
    AND p.id > COALESCE((SELECT max(q.id) FROM registry.model_approval q
      WHERE q.model = v.model AND q.version = v.version AND q.kind = 'void'), 0)), '[]'::json) AS approvals`;

/** The columns of a VersionRow, for a table or CTE called `v`. */
export const VERSION_COLUMNS = `v.model, v.version, v.arrival, v.status, v.digest, v.manifest, v.files, v.onnx, v.signature,
  v.derived, v.feature_set, v.report, v.package_signature, v.registered_at, v.registered_by, v.validated_at, v.changed_at, v.changed_by, v.revision,
  v.source, v.deletion, ${ARTIFACT}, ${ALIASES}, ${APPROVALS}`;

/** The row of one exact version. */
export async function versionRow(tx: EntityManager, model: string, version: string): Promise<VersionRow | undefined> {
  const rows = await tx.query<VersionRow[]>(
    `SELECT ${VERSION_COLUMNS} FROM registry.model_version v WHERE v.model = $1 AND v.version = $2`,
    [model, lookupName(version)],
  );
  return rows[0];
}

/** Exact versions of a model, in the order of their names here; undefined where there is none. */
export async function versionsOf(
  tx: EntityManager,
  model: string,
  versions: readonly string[],
): Promise<(ModelVersion | undefined)[]> {
  const rows = await tx.query<VersionRow[]>(
    `SELECT ${VERSION_COLUMNS} FROM registry.model_version v WHERE v.model = $1 AND v.version = ANY ($2)`,
    [model, versions],
  );
  return versions.map((version) => {
    const row = rows.find((one) => one.version === version);
    return row && versionOf(row);
  });
}

/** The version that a row holds. */
export function versionOf(row: VersionRow): ModelVersion {
  const derived = row.derived ?? undefined;
  return definedOnly({
    model: row.model,
    version: row.version,
    status: row.aliases.length > 0 && isServable(row.status) ? ('active' as const) : row.status,
    digest: row.digest,
    manifest: withClasses(storedManifest(row.manifest, { name: row.model, version: row.version }), derived),
    signature: row.signature,
    onnx: row.onnx,
    files: row.files,
    derived,
    featureSet: row.feature_set ?? undefined,
    report: row.report ?? undefined,
    packageSignature: row.package_signature ?? undefined,
    aliases: row.aliases,
    deletion: row.deletion ?? undefined,
    artifact: row.artifact ? { intact: row.artifact.intact, checkedAt: rfc3339(row.artifact.checked_at) } : undefined,
    source: row.source ?? undefined,
    approvals: row.approvals.map(({ actor, at, reason, digest, policy_revision: policyRevision }) => {
      return { actor, at: rfc3339(at), reason, digest, policyRevision };
    }),
    arrival: Number(row.arrival),
    registeredBy: row.registered_by,
    registeredAt: rfc3339(row.registered_at),
    validatedAt: row.validated_at === null ? undefined : rfc3339(row.validated_at),
    changedAt: rfc3339(row.changed_at),
    changedBy: row.changed_by,
    revision: row.revision,
  });
}

export function rfc3339(time: Date | string): string {
  return timestamp(new Date(time).getTime());
}
