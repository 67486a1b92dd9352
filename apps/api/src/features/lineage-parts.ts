import {
  Lineage,
  LineageFeed,
  OpenLineage,
  PredictionLineage,
  type AliasMoved,
  type ConsumerRow,
  type LineageParts,
} from '@sibyl/features';
import { timestamp, type Clock, type IdSource } from '@sibyl/kernel';
import { isServable, type ModelRegistry } from '@sibyl/registry';
import type { Logger, Metrics } from '@sibyl/telemetry';
import type { ApiConfig } from '../../config';

export type LineageStarted = ReturnType<typeof startLineage> & ReturnType<typeof startLineageFeed>;

interface LineageHost {
  readonly config: ApiConfig;
  readonly clock: Clock;
  readonly registry: ModelRegistry;
  readonly featureSnapshot: LineageParts['snapshot'];
  readonly featureStore: LineageParts['store'];
  readonly featureCompiler: LineageParts['compiler'];
}

interface FeedHost extends Pick<LineageHost, 'config' | 'clock'> {
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly ids: IdSource;
}

/** Who is told of what is published, and of aliases that move. */
export function startLineageFeed({ config, log, metrics, clock, ids }: FeedHost) {
  const onOutcome = (outcome: string): void => metrics.features.lineageEvents.inc({ outcome });
  const lineageFeed = new LineageFeed({ options: config.lineage, log, onOutcome });
  const aliasMoved = (move: AliasMoved): void => {
    const event = new OpenLineage(config.lineage.namespace, timestamp(clock.now())).promotion(move, ids.next());
    lineageFeed.tell(() => Promise.resolve(event));
  };
  return { lineageFeed, aliasMoved };
}

/** Where features come from and who needs them. */
export function startLineage(host: LineageHost) {
  const { config, registry, clock } = host;
  const { featureSnapshot: snapshot, featureStore: store, featureCompiler: compiler } = host;
  const consumers = (): Promise<readonly ConsumerRow[]> => consumersIn(registry);
  const { namespace } = config.lineage;
  return {
    lineage: new Lineage({ snapshot, store, compiler, clock, namespace, consumers }),
    predictionLineage: new PredictionLineage({ snapshot, store, compiler, clock, namespace }),
  };
}

/** Versions that can serve, or do, and name a set. */
async function consumersIn(registry: ModelRegistry): Promise<readonly ConsumerRow[]> {
  const { models } = await registry.snapshot();
  return models.flatMap(({ name: model, versions }) =>
    versions.flatMap(({ version, status, aliases, manifest, featureSet }): ConsumerRow[] => {
      const set = featureSet ?? manifest.featureSet;
      const serves = status === 'active' || isServable(status);
      return serves && set !== undefined ? [{ model, version, set, aliases }] : [];
    }),
  );
}
