/** How many versions of a model its policy keeps loaded beside those that aliases point at. */
export interface Keeping {
  readonly model: string;
  readonly keep: number;
}

export interface WarmVersion {
  readonly model: string;
  readonly version: string;
}

type Query = (sql: string, values: unknown[]) => Promise<WarmVersion[]>;

/** The versions that aliases pointed at last, as many of each model as `keeping` says. */
export const WARM_VERSIONS = `SELECT p.model, w.version FROM keeping p CROSS JOIN LATERAL (
    SELECT e.from_version AS version, max(e.id) AS last FROM registry.alias_event e
    JOIN registry.model_version v ON v.model = e.model AND v.version = e.from_version
    WHERE e.model = p.model AND v.status IN ('validated', 'approved') AND NOT EXISTS (
      SELECT FROM registry.model_alias a WHERE a.model = e.model AND a.version = e.from_version)
    GROUP BY e.from_version ORDER BY last DESC LIMIT p.keep) w`;

/** The same of models that are named with what their policies keep. */
export async function warmVersions(query: Query, all: readonly Keeping[]): Promise<readonly WarmVersion[]> {
  const keeping = all.filter(({ keep }) => keep > 0);
  if (keeping.length === 0) return [];
  return query(`WITH keeping AS (SELECT * FROM unnest($1::text[], $2::integer[]) AS k(model, keep)) ${WARM_VERSIONS}`, [
    keeping.map(({ model }) => model),
    keeping.map(({ keep }) => keep),
  ]);
}
