import type { EntityManager } from 'typeorm';
import type { EventTrace } from '@sibyl/audit';
import { timestamp, type Actor } from '@sibyl/kernel';
import type { JsonObject } from './json-document';
import type { ModelVersion } from './model-version';
import type { VersionRecord } from './version-file';

/** Moves of aliases that a record tells of, the newest; more are counted. With their reasons they have a third of a header. */
const MOVES_MAX = 2_000;
/** Approvals, and rows that void them, that a record tells of: the newest. */
const APPROVALS_MAX = 1_000;
/** Installations that a version has come through: the first of them, because the others are in their records. */
const ORIGINS_MAX = 16;
/** Characters of their records that are taken along, a quarter of a header; of those past them the digests remain. */
const ORIGINS_LENGTH = 1024 * 1024;

/** Of the audit log, the events about one version. */
export type ProofReader = (model: string, version: string) => Promise<EventTrace>;

interface RecordRow {
  readonly row: JsonObject;
  readonly moves: readonly JsonObject[] | null;
  readonly moves_count: string | number;
  readonly approvals: readonly JsonObject[] | null;
  readonly origins: readonly JsonObject[] | null;
}

/** What the registry knows of a version, every column of its row included, in the names of its schema. */
export async function recordOf(
  tx: EntityManager,
  { model, version, digest, status, aliases }: ModelVersion,
  { actor, atMs, audit }: { readonly actor: Actor; readonly atMs: number; readonly audit: EventTrace },
): Promise<VersionRecord> {
  const [found] = await tx.query<RecordRow[]>(
    `SELECT row_to_json(v) AS row,
       (SELECT json_agg(row_to_json(e) ORDER BY e.id) FROM (SELECT * FROM registry.alias_event
          WHERE model = $1 AND (version = $2 OR from_version = $2) ORDER BY id DESC LIMIT ${MOVES_MAX}) e) AS moves,
       (SELECT count(*) FROM registry.alias_event WHERE model = $1 AND (version = $2 OR from_version = $2)) AS moves_count,
       (SELECT json_agg(row_to_json(a) ORDER BY a.id) FROM (SELECT * FROM registry.model_approval
          WHERE model = $1 AND version = $2 ORDER BY id DESC LIMIT ${APPROVALS_MAX}) a) AS approvals,
       (SELECT json_agg(json_build_object('sha256', o.record_sha256, 'imported_at', o.at, 'imported_by', o.actor,
          'header', CASE WHEN o.length <= ${ORIGINS_LENGTH} THEN o.header END) ORDER BY o.at)
        FROM (SELECT *, sum(length(header::text)) OVER (ORDER BY at, record_sha256) AS length FROM registry.version_origin
          WHERE model = $1 AND version = $2 AND digest = $3 ORDER BY at, record_sha256 LIMIT ${ORIGINS_MAX}) o) AS origins
     FROM registry.model_version v WHERE v.model = $1 AND v.version = $2`,
    [model, version, digest],
  );
  return {
    ...found?.row,
    model,
    version,
    status,
    aliases,
    alias_history: found?.moves ?? [],
    alias_moves: Number(found?.moves_count ?? 0),
    approvals: found?.approvals ?? [],
    audit,
    origins: found?.origins ?? [],
    exported_at: timestamp(atMs),
    exported_by: actor,
  };
}
