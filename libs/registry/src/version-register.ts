import type { EntityManager } from 'typeorm';
import { DomainError, invariant, timestamp, type Actor, type Clock } from '@sibyl/kernel';
import { lockModel } from './registry-change';
import type { ModelVersion, StoredStatus } from './model-version';
import type { Validation } from './model-validation';
import type { PackageContents } from './package-reader';
import type { PackageDigest, PackageFile } from './package-digest';
import { lockArtifact, type ReleasedArtifacts } from './released-artifacts';
import type { SignatureRecord } from './signing/signature-policy';
import type { VersionSource } from './sources/remote-package';
import { isAbandoned } from './validation-underway';
import { VERSION_COLUMNS, versionOf, versionRow, type VersionRow } from './version-rows';

/** A version that somebody brings: what was read from its package. */
export interface Candidate {
  readonly actor: Actor;
  readonly contents: PackageContents;
  readonly digest: PackageDigest;
  readonly files: readonly PackageFile[];
  /** What was found of the package's signature. */
  readonly signed: SignatureRecord;
  /** Where it was fetched from. */
  readonly source?: VersionSource | undefined;
  /** What reading and scanning it took. */
  readonly scanMs: number;
}

/** The version that the same bytes became before, or the revision of the row that now waits for its validation. */
export type Begun =
  | { readonly known: ModelVersion }
  | {
      readonly known?: undefined;
      readonly revision: number;
      /** Other bytes were given up for these. */
      readonly released: boolean;
    };

/** The status that a validation led to, of the row as it was when the validation began. */
export interface VersionVerdict {
  readonly model: string;
  readonly version: string;
  readonly revision: number;
  readonly status: StoredStatus;
}

/** The rows of versions on their way from registered to validated or rejected. */
export class VersionRegister {
  constructor(
    readonly clock: Clock,
    readonly abandonedAfterMs: number,
    private readonly released: Pick<ReleasedArtifacts, 'release'>,
  ) {}

  /** Finds or makes the row of a candidate, and locks its model. Throws version_conflict for other bytes under a used version. */
  async begin(tx: EntityManager, candidate: Candidate): Promise<Begun> {
    const { name, version } = candidate.contents.manifest;
    await tx.query('INSERT INTO registry.model (name, created_at) VALUES ($1, $2) ON CONFLICT DO NOTHING', [
      name,
      this.now(),
    ]);
    await lockModel(tx, name);
    await refuseAliasName(tx, name, version);
    await lockArtifact(tx, candidate.digest);
    const row = await versionRow(tx, name, version);
    if (!row) {
      await refuseTwin(tx, name, version);
      return { revision: await this.insert(tx, candidate), released: false };
    }
    // What never was valid may come again, whatever has become of it meanwhile.
    const decided = row.status !== 'registered' && row.status !== 'rejected' && row.validated_at !== null;
    if (row.digest === candidate.digest) {
      // What was deleted comes back when somebody sends it, not when a server or a follower finds it again.
      const stays = row.deletion === null || candidate.actor.type === 'system';
      if (decided) return { known: versionOf(stays ? row : await restored(tx, row)) };
      // Another process may be trying the same bytes just now: both go on, and whoever decides first has decided.
      if (row.status === 'registered') return { revision: row.revision, released: false };
    } else if (!this.isReplaceable(row)) {
      throw conflict(versionOf(row), candidate.digest);
    }
    return this.replace(tx, row, candidate);
  }

  /** Writes what validation found; undefined where somebody else has changed the row meanwhile. The model must be locked. */
  async decide(
    tx: EntityManager,
    actor: Actor,
    decision: VersionVerdict,
    { report, signature, featureSet }: Validation,
  ): Promise<ModelVersion | undefined> {
    // A version that was valid once keeps what it was made of, its signature included.
    const [row] = await tx.query<VersionRow[]>(
      `WITH v AS (UPDATE registry.model_version SET status = $4, report = $5, changed_at = $7, changed_by = $8, revision = revision + 1,
           signature = CASE WHEN validated_at IS NULL THEN $6::json ELSE signature END,
           feature_set = CASE WHEN $10 OR feature_set IS NULL THEN COALESCE($9, feature_set) ELSE feature_set END,
           validated_at = CASE WHEN $4 = 'validated' THEN COALESCE(validated_at, $7) ELSE validated_at END
         WHERE model = $1 AND version = $2 AND revision = $3 RETURNING *)
       SELECT ${VERSION_COLUMNS} FROM v`,
      [
        ...[decision.model, decision.version, decision.revision, decision.status],
        ...[JSON.stringify(report), JSON.stringify(signature), this.now(), JSON.stringify(actor)],
        // A version that has a set is not given one by which it could not be promoted.
        ...[featureSet?.reference ?? null, report.passed && featureSet?.faults.length === 0],
      ],
    );
    return row && versionOf(row);
  }

  private isReplaceable(row: VersionRow): boolean {
    if (row.validated_at !== null) return false;
    return row.status === 'rejected' || row.status === 'archived' || isAbandoned(row, this);
  }

  private async insert(tx: EntityManager, candidate: Candidate): Promise<number> {
    const { name, version } = candidate.contents.manifest;
    const rows = await tx.query<{ revision: number }[]>(
      `INSERT INTO registry.model_version (model, version, status, digest, manifest, files, onnx, signature,
         package_signature, derived, registered_at, registered_by, changed_at, changed_by, source)
       VALUES ($1, $2, 'registered', $3, $4, $5, $6, $7, $8, $9, $10, $11, $10, $11, $12) RETURNING revision`,
      [name, version, ...this.columns(candidate)],
    );
    return revisionOf(rows);
  }

  /** A rejected version comes again. One that was valid once keeps its bytes, so there only the status goes back. */
  private async replace(tx: EntityManager, row: VersionRow, candidate: Candidate): Promise<Begun> {
    const { name, version } = candidate.contents.manifest;
    const fresh = `arrival = nextval('registry.arrival'), digest = $3, manifest = $4, files = $5, onnx = $6, signature = $7, report = NULL,
      package_signature = $8, derived = $9, registered_at = $10, registered_by = $11, changed_at = $10, changed_by = $11, source = $12,
      deletion = NULL, feature_set = NULL`;
    const reopen = row.validated_at === null;
    const released = reopen && row.digest !== candidate.digest;
    if (released) await this.released.release(tx, row.digest);
    const rows = await tx.query<{ revision: number }[]>(
      `WITH v AS (UPDATE registry.model_version SET status = 'registered', revision = revision + 1, ${reopen ? fresh : 'changed_at = $3, changed_by = $4'}
         WHERE model = $1 AND version = $2 RETURNING revision) SELECT revision FROM v`,
      [name, version, ...(reopen ? this.columns(candidate) : [this.now(), JSON.stringify(candidate.actor)])],
    );
    return { revision: revisionOf(rows), released };
  }

  private columns({ actor, contents, digest, files, signed, source }: Candidate): unknown[] {
    const documents = [contents.manifest.document, files, contents.onnx, contents.signature, signed];
    const derived = contents.derived === undefined ? null : JSON.stringify(contents.derived);
    return [
      digest,
      ...documents.map((document) => JSON.stringify(document)),
      derived,
      this.now(),
      JSON.stringify(actor),
      source === undefined ? null : JSON.stringify(source),
    ];
  }

  private now(): string {
    return timestamp(this.clock.now());
  }
}

/** The same bytes have come again: they are there from now on. What was decided of the version stands. */
async function restored(tx: EntityManager, { model, version }: VersionRow): Promise<VersionRow> {
  const [row] = await tx.query<VersionRow[]>(
    `WITH v AS (UPDATE registry.model_version SET deletion = NULL, revision = revision + 1
       WHERE model = $1 AND version = $2 RETURNING *) SELECT ${VERSION_COLUMNS} FROM v`,
    [model, version],
  );
  invariant(row, 'a locked version is there');
  return row;
}

function revisionOf(rows: readonly { readonly revision: number }[]): number {
  const [row] = rows;
  invariant(row, 'a written row comes back');
  return row.revision;
}

function conflict(present: ModelVersion, digest: string): DomainError {
  const detail = `Version ${present.version} of model '${present.model}' exists with other bytes and is ${present.status}.`;
  return new DomainError('version_conflict', detail, {
    faults: [{ pointer: '/version', expected: `the bytes of ${present.digest}, or another version`, received: digest }],
  });
}

// A request names versions and aliases in one place, where the version would hide the alias that serves now.
async function refuseAliasName(tx: EntityManager, model: string, version: string): Promise<void> {
  const rows = await tx.query<unknown[]>(
    `SELECT 1 FROM registry.model_alias WHERE model = $1 AND alias IN ($2, 'v' || $2)`,
    [model, version],
  );
  if (rows.length === 0) return;
  throw new DomainError(
    'version_conflict',
    `'${version}' is an alias of model '${model}' and cannot be a version too.`,
  );
}

// `v1.2.3` in a request means 1.2.3 where no version has that very name: one that came later would take its callers.
async function refuseTwin(tx: EntityManager, model: string, version: string): Promise<void> {
  const [twin] = await tx.query<{ readonly version: string }[]>(
    `SELECT version FROM registry.model_version
     WHERE model = $1 AND (version = 'v' || $2 OR (left($2, 1) = 'v' AND version = substr($2, 2)))`,
    [model, version],
  );
  if (!twin) return;
  const detail = `Model '${model}' has a version ${twin.version}, which requests may call ${version} too.`;
  throw new DomainError('version_conflict', detail, {
    faults: [
      { pointer: '/version', expected: 'a version that is not another one with or without a v', received: version },
    ],
  });
}
