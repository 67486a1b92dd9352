import type { EntityManager } from 'typeorm';

/** A version that callers may be answered by, and the feature set that it takes its features from. */
export interface FeatureSetUse {
  /** `name@sha256:...`; as its manifest names it where the set was never found. */
  readonly set: string;
  readonly model: string;
  readonly version: string;
}

/** All versions that may serve, or may yet: a request can name each of them, and a rollback go back to it. */
export async function featureSetsInService(tx: EntityManager): Promise<readonly FeatureSetUse[]> {
  return tx.query<FeatureSetUse[]>(
    `SELECT COALESCE(v.feature_set, v.manifest->>'feature_set') AS set, v.model, v.version FROM registry.model_version v
     WHERE v.manifest->>'feature_set' IS NOT NULL AND v.status NOT IN ('rejected', 'archived')
     ORDER BY v.model, v.arrival`,
  );
}
