import type { Database } from '@sibyl/database';
import {
  DefinitionCompiler,
  DefinitionSnapshot,
  DefinitionStore,
  FeatureLog,
  Lineage,
  LineageFeed,
  type ConsumerRow,
} from '@sibyl/features';
import type { Clock } from '@sibyl/kernel';
import { isServable, type ModelRegistry } from '@sibyl/registry';
import type { Logger, Metrics } from '@sibyl/telemetry';
import type { ApiConfig } from '../../config';

export type Features = Awaited<ReturnType<typeof startFeatures>>;

interface Foundation {
  readonly config: ApiConfig;
  readonly log: Logger;
  readonly clock: Clock;
  readonly metrics: Metrics;
}

/** The feature service: what is published, and the log of events. */
export async function startFeatures(foundation: Foundation, database: Database, registry: ModelRegistry) {
  const { config, log, clock, metrics } = foundation;
  const compiler = new DefinitionCompiler();
  const snapshot = new DefinitionSnapshot({ database, compiler, log });
  await snapshot.start();
  const onResults = (stream: string, result: string, events: number): void =>
    metrics.server.featureEvents.inc({ stream, result }, events);
  const logParts = { database, clock, streams: snapshot, listeners: [], log, onResults };
  const featureLog = await FeatureLog.start(logParts, config.features);
  // No version of a model names a set yet, so none needs one.
  const featureStore = new DefinitionStore({
    database,
    clock,
    compiler,
    snapshot,
    modelsOf: () => Promise.resolve([]),
  });
  const lineageFeed = feedOf(foundation);
  const consumers = (): Promise<readonly ConsumerRow[]> => consumersIn(registry);
  const { namespace } = config.lineage;
  return {
    featureLog,
    featureStore,
    lineage: new Lineage({ snapshot, store: featureStore, compiler, clock, namespace, consumers }),
    lineageFeed,
    stopFeatures: async () => {
      snapshot.stop();
      await Promise.all([featureLog.stop(), lineageFeed.stop()]);
    },
  };
}

function feedOf({ config, log, metrics }: Foundation): LineageFeed {
  const onOutcome = (outcome: string): void => metrics.server.lineageEvents.inc({ outcome });
  return new LineageFeed({ options: config.lineage, log, onOutcome });
}

/** Versions that can serve, or do, and name a set. */
async function consumersIn(registry: ModelRegistry): Promise<readonly ConsumerRow[]> {
  const { models } = await registry.snapshot();
  return models.flatMap(({ name: model, versions }) =>
    versions.flatMap(({ version, status, aliases, manifest }): ConsumerRow[] => {
      const { feature_set: set } = manifest.document;
      const serves = status === 'active' || isServable(status);
      return serves && typeof set === 'string' ? [{ model, version, set, aliases }] : [];
    }),
  );
}
