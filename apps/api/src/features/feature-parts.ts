import type { Database } from '@sibyl/database';
import {
  DefinitionCompiler,
  DefinitionSnapshot,
  DefinitionStore,
  FeastFacade,
  FeatureLog,
  FeatureReads,
  LiveReads,
  LogHistory,
  PastReads,
  Selections,
  StateStore,
  type CacheTier,
} from '@sibyl/features';
import type { Clock } from '@sibyl/kernel';
import type { ModelRegistry } from '@sibyl/registry';
import type { Logger, Metrics } from '@sibyl/telemetry';
import type { ApiConfig } from '../../config';
import { startLineage } from './lineage-parts';

export type Features = Awaited<ReturnType<typeof startFeatures>>;

interface Foundation {
  readonly config: ApiConfig;
  readonly log: Logger;
  readonly clock: Clock;
  readonly metrics: Metrics;
}

/** The feature service: what is published, the log of events, and reads of what they come to. */
export async function startFeatures(foundation: Foundation, database: Database, registry: ModelRegistry) {
  const { config, log, clock, metrics } = foundation;
  const compiler = new DefinitionCompiler();
  const now = (): number => clock.now() * 1000;
  const states = new StateStore(config.featureReads.stateBytes, now);
  const snapshot = new DefinitionSnapshot({ database, compiler, log, onChange: () => reads.usePublished() });
  // No version of a model names a set yet, so none needs one.
  const modelsOf = (): Promise<readonly string[]> => Promise.resolve([]);
  const store = new DefinitionStore({ database, clock, compiler, snapshot, modelsOf });
  const history = new LogHistory(database, snapshot, clock);
  const counter = {
    count: (tier: CacheTier, result: 'hit' | 'miss', times: number): void =>
      metrics.server.featureCache.inc({ tier, result }, times),
  };
  const reads = new FeatureReads(
    {
      selections: new Selections({ compiler, snapshot, store }),
      snapshot,
      store: states,
      live: new LiveReads({ store: states, log: history, now, counter }),
      past: new PastReads({ log: history, now, counter, cacheBytes: config.featureReads.pastBytes }),
      now,
    },
    config.featureReads,
  );
  await snapshot.start();
  const onResults = (stream: string, result: string, events: number): void =>
    metrics.server.featureEvents.inc({ stream, result }, events);
  const logParts = { database, clock, streams: snapshot, listeners: [states], log, onResults };
  const featureLog = await FeatureLog.start(logParts, config.features);
  const lineage = startLineage({ ...foundation, registry, snapshot, store, compiler });
  return {
    featureLog,
    featureStore: store,
    featureReads: reads,
    feastFacade: new FeastFacade(reads, featureLog, snapshot),
    ...lineage,
    stopFeatures: async () => {
      snapshot.stop();
      await Promise.all([featureLog.stop(), lineage.lineageFeed.stop()]);
    },
  };
}
