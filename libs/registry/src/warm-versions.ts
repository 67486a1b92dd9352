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

/** The versions that aliases pointed at last, as many of each model as its policy keeps. */
export async function warmVersions(query: Query, all: readonly Keeping[]): Promise<readonly WarmVersion[]> {
  const keeping = all.filter(({ keep }) => keep > 0);
  if (keeping.length === 0) return [];
  return query(
    `SELECT p.model, w.version FROM unnest($1::text[], $2::integer[]) AS p(model, keep) CROSS JOIN LATERAL (
       SELECT e.from_version AS version, max(e.id) AS last FROM registry.alias_event e
       JOIN registry.model_version v ON v.model = e.model AND v.version = e.from_version
       WHERE e.model = p.model AND v.status IN ('validated', 'approved') AND NOT EXISTS (
         SELECT FROM registry.model_alias a WHERE a.model = e.model AND a.version = e.from_version)
       GROUP BY e.from_version ORDER BY last DESC LIMIT p.keep) w`,
    [keeping.map(({ model }) => model), keeping.map(({ keep }) => keep)],
  );
}
