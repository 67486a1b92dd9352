import type { EntityManager } from 'typeorm';
import type { EventTrace } from '@sibyl/audit';
import { timestamp, type Actor } from '@sibyl/kernel';
import type { JsonObject } from './json-document';
import type { ModelVersion } from './model-version';
import type { VersionRecord } from './version-file';

/** Moves of aliases that a record tells of, the newest; more are counted. */
const MOVES_MAX = 10_000;
/** Installations that a version has come through of which whole records are kept. */
const ORIGINS_MAX = 16;

/** Of the audit log, the events about one version. */
export type ProofReader = (model: string, version: string) => Promise<EventTrace>;

interface RecordRow {
  readonly row: JsonObject;
  readonly moves: readonly JsonObject[] | null;
  readonly moves_count: string | number;
  readonly origins: readonly JsonObject[] | null;
}

/** Everything that the registry knows of a version, every column of its row included, in the names of its schema. */
export async function recordOf(
  tx: EntityManager,
  { model, version, status, aliases }: ModelVersion,
  { actor, atMs, audit }: { readonly actor: Actor; readonly atMs: number; readonly audit: EventTrace },
): Promise<VersionRecord> {
  const [found] = await tx.query<RecordRow[]>(
    `SELECT row_to_json(v) AS row,
       (SELECT json_agg(row_to_json(e) ORDER BY e.id) FROM (SELECT * FROM registry.alias_event
          WHERE model = $1 AND (version = $2 OR from_version = $2) ORDER BY id DESC LIMIT ${MOVES_MAX}) e) AS moves,
       (SELECT count(*) FROM registry.alias_event WHERE model = $1 AND (version = $2 OR from_version = $2)) AS moves_count,
       (SELECT json_agg(json_build_object('sha256', o.record_sha256, 'imported_at', o.at, 'imported_by', o.actor,
          'header', o.header) ORDER BY o.at) FROM (SELECT * FROM registry.version_origin
          WHERE model = $1 AND version = $2 ORDER BY at LIMIT ${ORIGINS_MAX}) o) AS origins
     FROM registry.model_version v WHERE v.model = $1 AND v.version = $2`,
    [model, version],
  );
  return {
    ...found?.row,
    model,
    version,
    status,
    aliases,
    alias_history: found?.moves ?? [],
    alias_moves: Number(found?.moves_count ?? 0),
    audit,
    origins: found?.origins ?? [],
    exported_at: timestamp(atMs),
    exported_by: actor,
  };
}
