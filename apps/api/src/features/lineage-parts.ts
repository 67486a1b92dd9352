import { Lineage, LineageFeed, type ConsumerRow, type LineageParts } from '@sibyl/features';
import type { Clock } from '@sibyl/kernel';
import { isServable, type ModelRegistry } from '@sibyl/registry';
import type { Logger, Metrics } from '@sibyl/telemetry';
import type { ApiConfig } from '../../config';

export type LineageStarted = ReturnType<typeof startLineage>;

interface LineageHost {
  readonly config: ApiConfig;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly registry: ModelRegistry;
  readonly featureSnapshot: LineageParts['snapshot'];
  readonly featureStore: LineageParts['store'];
  readonly featureCompiler: LineageParts['compiler'];
}

/** Where features come from and who needs them, and who is told of it. */
export function startLineage(host: LineageHost): { readonly lineage: Lineage; readonly lineageFeed: LineageFeed } {
  const { config, log, metrics, registry, clock } = host;
  const { featureSnapshot: snapshot, featureStore: store, featureCompiler: compiler } = host;
  const onOutcome = (outcome: string): void => metrics.features.lineageEvents.inc({ outcome });
  const consumers = (): Promise<readonly ConsumerRow[]> => consumersIn(registry);
  const { namespace } = config.lineage;
  return {
    lineage: new Lineage({ snapshot, store, compiler, clock, namespace, consumers }),
    lineageFeed: new LineageFeed({ options: config.lineage, log, onOutcome }),
  };
}

/** Versions that can serve, or do, and name a set. */
async function consumersIn(registry: ModelRegistry): Promise<readonly ConsumerRow[]> {
  const { models } = await registry.snapshot();
  return models.flatMap(({ name: model, versions }) =>
    versions.flatMap(({ version, status, aliases, manifest }): ConsumerRow[] => {
      const { featureSet: set } = manifest;
      const serves = status === 'active' || isServable(status);
      return serves && set !== undefined ? [{ model, version, set, aliases }] : [];
    }),
  );
}
