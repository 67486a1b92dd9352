import type { Database } from '@sibyl/database';
import { invariant } from '@sibyl/kernel';
import { isServable, type ModelVersion, type StoredStatus } from './model-version';
import { WARM_VERSIONS, type WarmVersion } from './warm-versions';
import { VERSION_COLUMNS, versionOf, type VersionRow } from './version-rows';

/** Everything that serving needs to know of the registry at one moment. */
export interface RegistrySnapshot {
  readonly models: readonly SnapshotModel[];
}

export interface SnapshotModel {
  readonly name: string;
  /** In the order of their arrival. */
  readonly versions: readonly ModelVersion[];
  readonly aliases: readonly SnapshotAlias[];
  /** The version that `latest` means: of those that may serve, passed, and are approved where the policy asks, the last. */
  readonly latest?: string;
  /** Versions that the policy keeps loaded for a rollback. */
  readonly warm: readonly string[];
}

export interface SnapshotAlias {
  readonly alias: string;
  readonly version: string;
  readonly revision: number;
  /** Where a rollback would lead; null where nothing was before. */
  readonly previous: string | null;
}

interface LightRow {
  readonly model: string;
  readonly version: string;
  readonly status: StoredStatus;
  readonly revision: number;
}

interface AliasRow extends SnapshotAlias {
  readonly model: string;
}

interface PolicyRow {
  readonly model: string;
  readonly approvals: number;
  readonly keep: number;
}

/** All of them at one moment. */
interface LightSnapshot {
  readonly aliases: readonly AliasRow[];
  readonly policies: readonly PolicyRow[];
  readonly versions: readonly LightRow[];
  readonly warm: readonly WarmVersion[];
}

const ALIASES = `SELECT a.model, a.alias, a.version, e.revision, before.version AS previous FROM registry.model_alias a
  JOIN registry.alias_event e ON e.id = a.event LEFT JOIN registry.alias_event before ON before.id = registry.rollback_target(e.id)
  ORDER BY a.model, a.alias`;

const POLICIES = `SELECT DISTINCT ON (model) model, COALESCE((policy->>'approvals')::integer, 0) AS approvals,
    COALESCE((policy->>'keepWarm')::integer, 0) AS keep
  FROM registry.model_policy ORDER BY model, revision DESC`;

const VERSIONS = 'SELECT model, version, status, revision FROM registry.model_version ORDER BY model, arrival';

const listOf = (sql: string): string => `(SELECT COALESCE(json_agg(o), '[]') FROM (${sql}) o)`;

// One statement sees one moment, so that every alias finds its version; and whoever moves an alias waits for one answer.
const LIGHT = `WITH policies AS MATERIALIZED (${POLICIES}), keeping AS (SELECT model, keep FROM policies WHERE keep > 0)
  SELECT ${listOf(ALIASES)} AS aliases, ${listOf('SELECT * FROM policies')} AS policies, ${listOf(VERSIONS)} AS versions,
    ${listOf(WARM_VERSIONS)} AS warm`;

/**
 * Reads snapshots. Reconcilers ask every few seconds, so what a row holds beside its status is read once per revision of
 * the row and kept.
 */
export class SnapshotReader {
  private known = new Map<string, ModelVersion>();

  constructor(private readonly database: Database) {}

  async read(): Promise<RegistrySnapshot> {
    const [light] = await this.database.query<LightSnapshot>(LIGHT);
    invariant(light, 'a row of lists');
    this.known = await this.facts(light.versions);
    return { models: groups(light, this.known) };
  }

  private async facts(rows: readonly LightRow[]): Promise<Map<string, ModelVersion>> {
    const missing = rows.filter((row) => !this.known.has(keyOf(row)));
    const read =
      missing.length === 0
        ? []
        : await this.database.query<VersionRow>(
            `SELECT ${VERSION_COLUMNS} FROM registry.model_version v
             WHERE (v.model, v.version) IN (SELECT * FROM unnest($1::text[], $2::text[]))`,
            [missing.map((row) => row.model), missing.map((row) => row.version)],
          );
    const fresh = new Map(read.map((row) => [`${row.model}\0${row.version}`, versionOf(row)]));
    // A row that changed between the two reads is kept under the revision that was asked for, and read again next time.
    const entries = rows.flatMap((row): [string, ModelVersion][] => {
      const version = this.known.get(keyOf(row)) ?? fresh.get(`${row.model}\0${row.version}`);
      return version ? [[keyOf(row), version]] : [];
    });
    return new Map(entries);
  }
}

function keyOf(row: LightRow): string {
  return `${row.model}\0${row.version}\0${row.revision}`;
}

interface Group {
  readonly name: string;
  readonly versions: ModelVersion[];
  readonly aliases: AliasRow[];
  readonly warm: string[];
  latest?: string;
}

function groups(
  { versions, aliases, policies: given, warm }: LightSnapshot,
  facts: ReadonlyMap<string, ModelVersion>,
): SnapshotModel[] {
  const policies = new Map(given.map((row) => [row.model, row]));
  const pointing = byVersion(aliases);
  const models = new Map<string, Group>();
  for (const row of versions) {
    const version = facts.get(keyOf(row));
    if (!version) continue;
    const model = models.get(row.model) ?? { name: row.model, versions: [], aliases: [], warm: [] };
    models.set(row.model, model);
    const own = pointing.get(`${row.model}\0${row.version}`) ?? [];
    const status = own.length > 0 && isServable(row.status) ? 'active' : row.status;
    model.versions.push({ ...version, status, aliases: own.map((alias) => alias.alias) });
    model.aliases.push(...own);
    // Rows come in the order of their arrival.
    if (mayBeLatest(row, version, policies.get(row.model))) model.latest = row.version;
  }
  for (const { model, version } of warm) models.get(model)?.warm.push(version);
  return [...models.values()];
}

function mayBeLatest({ status }: LightRow, { report }: ModelVersion, policy: PolicyRow | undefined): boolean {
  const approvals = policy?.approvals ?? 0;
  return isServable(status) && report?.passed === true && (status === 'approved' || approvals === 0);
}

function byVersion(aliases: readonly AliasRow[]): Map<string, AliasRow[]> {
  const pointing = new Map<string, AliasRow[]>();
  for (const alias of aliases) {
    const key = `${alias.model}\0${alias.version}`;
    const own = pointing.get(key);
    if (own) own.push(alias);
    else pointing.set(key, [alias]);
  }
  return pointing;
}
