import type { Database } from '@sibyl/database';
import { DefinitionCompiler, DefinitionSnapshot, DefinitionStore, FeatureLog } from '@sibyl/features';
import type { Clock } from '@sibyl/kernel';
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
export async function startFeatures({ config, log, clock, metrics }: Foundation, database: Database) {
  const compiler = new DefinitionCompiler();
  const snapshot = new DefinitionSnapshot({ database, compiler, log });
  await snapshot.start();
  const onResults = (stream: string, result: string, events: number): void =>
    metrics.server.featureEvents.inc({ stream, result }, events);
  const logParts = { database, clock, streams: snapshot, listeners: [], log, onResults };
  const featureLog = await FeatureLog.start(logParts, config.features);
  return {
    featureLog,
    // No version of a model names a set yet, so none needs one.
    featureStore: new DefinitionStore({ database, clock, compiler, snapshot, modelsOf: () => Promise.resolve([]) }),
    stopFeatures: async () => {
      snapshot.stop();
      await featureLog.stop();
    },
  };
}
