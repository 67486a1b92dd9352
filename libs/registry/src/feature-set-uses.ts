import type { EntityManager } from 'typeorm';

/** A version that callers may be answered by, and the feature set that its manifest names. */
export interface FeatureSetUse {
  readonly set: string;
  readonly model: string;
  readonly version: string;
}

/** Versions that an alias points at, or that are the newest of their model that may serve: what `latest` means. */
export async function featureSetsInService(tx: EntityManager): Promise<readonly FeatureSetUse[]> {
  return tx.query<FeatureSetUse[]>(
    `SELECT v.manifest->>'feature_set' AS set, v.model, v.version FROM registry.model_version v
     WHERE v.manifest->>'feature_set' IS NOT NULL AND v.status IN ('validated', 'approved')
       AND (EXISTS (SELECT FROM registry.model_alias a WHERE a.model = v.model AND a.version = v.version)
         OR NOT EXISTS (SELECT FROM registry.model_version n
           WHERE n.model = v.model AND n.arrival > v.arrival AND n.status IN ('validated', 'approved')))
     ORDER BY v.model, v.arrival`,
  );
}
