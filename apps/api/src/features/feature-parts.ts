import type { Database } from '@sibyl/database';
import {
  DefinitionCompiler,
  DefinitionSnapshot,
  DefinitionStore,
  FeatureLog,
  LogHistory,
  OnlineFeatures,
} from '@sibyl/features';
import type { Clock } from '@sibyl/kernel';
import { featureSetsInService } from '@sibyl/registry';
import type { Logger, Metrics } from '@sibyl/telemetry';
import type { ApiConfig } from '../../config';
import { SetFeatureReader } from './set-feature-reader';

export type Features = Awaited<ReturnType<typeof startFeatures>>;

interface Foundation {
  readonly config: ApiConfig;
  readonly log: Logger;
  readonly clock: Clock;
  readonly metrics: Metrics;
}

/** The feature service: what is published, the log of events, and values for predictions. */
export async function startFeatures({ config, log, clock, metrics }: Foundation, database: Database) {
  const compiler = new DefinitionCompiler();
  const snapshot = new DefinitionSnapshot({ database, compiler, log, onChange: () => online.follow() });
  const online: OnlineFeatures = new OnlineFeatures(
    {
      snapshot,
      compiler,
      history: new LogHistory(database, snapshot, clock),
      now: () => clock.now() * 1000,
      counter: { count: (tier, result, times) => metrics.features.countCache(tier, result, times) },
    },
    config.online,
  );
  await snapshot.start();
  metrics.features.read({ entities: () => online.stateCount, bytes: () => online.stateBytes });
  const onResults = (stream: string, result: string, events: number): void =>
    metrics.server.featureEvents.inc({ stream, result }, events);
  const logParts = { database, clock, streams: snapshot, listeners: [online.listener], log, onResults };
  const featureLog = await FeatureLog.start(logParts, config.features);
  return {
    featureLog,
    onlineFeatures: online,
    featureReader: new SetFeatureReader({ online, clock, metrics }),
    featureStore: new DefinitionStore({
      database,
      clock,
      compiler,
      snapshot,
      setsInService: featureSetsInService,
    }),
    stopFeatures: async () => {
      snapshot.stop();
      await featureLog.stop();
    },
  };
}
