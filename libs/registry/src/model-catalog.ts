import type { Database } from '@sibyl/database';
import { DomainError, type Clock } from '@sibyl/kernel';
import { ALIAS_EVENT_COLUMNS, aliasEventOf, type AliasEvent, type AliasEventRow } from './alias-event';
import type { ModelVersion, VersionStatus } from './model-version';
import { aliasNotFound, LATEST, lookupName, modelNotFound, versionNotFound } from './names';
import { decodeCursor, encodeCursor, pageLimit, type Page, type PageRequest } from './page';
import type { RegistryOptions } from './registry-options';
import { VERSION_COLUMNS, versionOf, type VersionRow } from './version-rows';

export interface VersionFilter {
  readonly model?: string;
  readonly status?: VersionStatus;
  /** Only models whose name this accepts, as a key that is bound to some models wants it. */
  readonly accepts?: (model: string) => boolean;
  /** Only these, as `?loaded=true` wants it. */
  readonly among?: readonly { readonly model: string; readonly version: string }[];
}

const MODELS_MAX = 10_000;
const VERSIONS_MAX = 10_000;

/** Answers questions about models, versions and aliases; changes nothing. */
export class ModelCatalog {
  constructor(
    private readonly database: Database,
    private readonly clock: Clock,
    private readonly options: Pick<RegistryOptions, 'pageRows' | 'pageRowsMax'>,
  ) {}

  /** Versions of all models, by model and then in the order of their arrival. */
  async list(filter: VersionFilter = {}, page: PageRequest = {}): Promise<Page<ModelVersion>> {
    const limit = pageLimit(page.limit, this.options);
    const [model, arrival] = page.cursor === undefined ? ['', 0] : decodeCursor(page.cursor, ['string', 'number']);
    const models = filter.accepts && (await this.names()).filter(filter.accepts);
    const rows = await this.database.query<VersionRow>(
      `SELECT ${VERSION_COLUMNS} FROM registry.model_version v
       WHERE (v.model, v.arrival) > ($1, $2::bigint)
         AND ($3::text IS NULL OR v.model = $3)
         AND ($4::text[] IS NULL OR v.model = ANY ($4))
         AND ($5::text[] IS NULL OR (v.model, v.version) IN (SELECT * FROM unnest($5::text[], $6::text[])))
         AND ($7::text IS NULL OR $7 = CASE WHEN v.status IN ('validated', 'approved') AND EXISTS (SELECT FROM registry.model_alias a
           WHERE a.model = v.model AND a.version = v.version) THEN 'active' ELSE v.status END)
       ORDER BY v.model, v.arrival LIMIT $8`,
      [
        ...[model, arrival, filter.model === undefined ? null : lookupName(filter.model), models ?? null],
        ...[filter.among?.map((entry) => entry.model) ?? null, filter.among?.map((entry) => entry.version) ?? null],
        ...[filter.status ?? null, limit + 1],
      ],
    );
    const items = rows.slice(0, limit).map(versionOf);
    const last = items.at(-1);
    return rows.length > limit && last ? { items, next: encodeCursor([last.model, last.arrival]) } : { items };
  }

  /** All versions of one model in the order of their arrival. */
  async versions(model: string): Promise<readonly ModelVersion[]> {
    const rows = await this.database.query<VersionRow>(
      `SELECT ${VERSION_COLUMNS} FROM registry.model_version v WHERE v.model = $1 ORDER BY v.arrival LIMIT ${VERSIONS_MAX}`,
      [lookupName(model)],
    );
    if (rows.length === 0) throw await this.unknown(model);
    return rows.map(versionOf);
  }

  /** One version by its number (a leading `v` is tried without it), an alias or `latest`. */
  async find(model: string, version: string): Promise<ModelVersion> {
    const rows = await this.database.query<VersionRow & { readonly rank: number }>(
      `SELECT ${VERSION_COLUMNS}, c.rank FROM (
         SELECT $2::text AS version, 1 AS rank
         UNION ALL SELECT a.version, 2 FROM registry.model_alias a WHERE a.model = $1 AND a.alias = $2
         UNION ALL SELECT substr($2, 2), 3 WHERE left($2, 1) = 'v') c
       JOIN registry.model_version v ON v.model = $1 AND v.version = c.version ORDER BY c.rank LIMIT 1`,
      [lookupName(model), lookupName(version)],
    );
    const [row] = rows;
    if (row) return versionOf(row);
    const latest = version === LATEST ? await this.latest(model) : undefined;
    if (latest) return latest;
    await this.requireModel(model);
    throw versionNotFound(model, version);
  }

  /** What an alias points at, or pointed at `atMs`. Before its first move it did not exist. */
  async aliasAt(model: string, alias: string, atMs?: number): Promise<AliasEvent> {
    const [row] = await this.database.query<AliasEventRow>(
      `SELECT ${ALIAS_EVENT_COLUMNS} FROM registry.alias_event e
       WHERE e.model = $1 AND e.alias = $2 AND ($3::float8 IS NULL OR e.at <= to_timestamp($3::float8 / 1000))
       ORDER BY e.revision DESC LIMIT 1`,
      // A number: the text of a year before 1 or after 9999 is not one that PostgreSQL reads.
      [lookupName(model), lookupName(alias), atMs ?? null],
    );
    if (row) return aliasEventOf(row);
    const latest =
      alias === LATEST && (atMs === undefined || atMs >= this.clock.now()) ? await this.latest(model) : undefined;
    if (latest) return computedAlias(latest);
    await this.requireModel(model);
    throw aliasNotFound(model, alias);
  }

  /** Every move of every alias of a model, newest first. */
  async history(model: string, page: PageRequest = {}): Promise<Page<AliasEvent>> {
    const limit = pageLimit(page.limit, this.options);
    const [before] = page.cursor === undefined ? [null] : decodeCursor(page.cursor, ['number']);
    const rows = await this.database.query<AliasEventRow>(
      `SELECT ${ALIAS_EVENT_COLUMNS} FROM registry.alias_event e
       WHERE e.model = $1 AND ($2::bigint IS NULL OR e.id < $2::bigint) ORDER BY e.id DESC LIMIT $3`,
      [lookupName(model), before, limit + 1],
    );
    if (rows.length === 0) await this.requireModel(model);
    const items = rows.slice(0, limit).map(aliasEventOf);
    const last = rows[limit - 1];
    return rows.length > limit && last ? { items, next: encodeCursor([Number(last.id)]) } : { items };
  }

  private async latest(model: string): Promise<ModelVersion | undefined> {
    const [row] = await this.database.query<VersionRow>(
      `SELECT ${VERSION_COLUMNS} FROM registry.model_version v
       WHERE v.model = $1 AND v.status IN ('validated', 'approved') AND (v.report->>'passed')::boolean
         AND (v.status = 'approved' OR COALESCE((SELECT (p.policy->>'approvals')::integer FROM registry.model_policy p
           WHERE p.model = v.model ORDER BY p.revision DESC LIMIT 1), 0) = 0)
       ORDER BY v.arrival DESC LIMIT 1`,
      [lookupName(model)],
    );
    return row && versionOf(row);
  }

  private async requireModel(model: string): Promise<void> {
    const rows = await this.database.query('SELECT 1 FROM registry.model WHERE name = $1', [lookupName(model)]);
    if (rows.length === 0) throw await this.unknown(model);
  }

  private async unknown(model: string): Promise<DomainError> {
    return modelNotFound(model, await this.names());
  }

  private async names(): Promise<string[]> {
    const rows = await this.database.query<{ name: string }>(
      `SELECT name FROM registry.model ORDER BY name LIMIT ${MODELS_MAX}`,
    );
    return rows.map((row) => row.name);
  }
}

function computedAlias(version: ModelVersion): AliasEvent {
  const { model, digest, registeredAt: at, registeredBy: actor } = version;
  const reason = 'the servable version that arrived last';
  return {
    model,
    alias: LATEST,
    version: version.version,
    digest,
    kind: 'computed',
    revision: 0,
    etag: `"${digest}"`,
    at,
    actor,
    reason,
  };
}
