import type { AuditTrail } from '@sibyl/audit';
import type { Database } from '@sibyl/database';
import {
  Backfills,
  DefinitionCompiler,
  DefinitionSnapshot,
  DefinitionStore,
  FeastFacade,
  FeatureLog,
  type FeatureLogParts,
  FeatureQuality,
  FeatureReads,
  LiveReads,
  LogHistory,
  PastReads,
  RecentPast,
  PastWalks,
  PushToVisible,
  SelectedFrames,
  Selections,
  SetReads,
  Settlement,
  StateStore,
  TrainingSets,
  type CacheTier,
} from '@sibyl/features';
import { systemActor, type Clock, type IdSource } from '@sibyl/kernel';
import { featureSetsInService, pinFeatureSet, type FeatureSetPin } from '@sibyl/registry';
import type { Logger, Metrics } from '@sibyl/telemetry';
import type { ApiConfig } from '../../config';
import { systemRecord } from '../system-record';
import { SetFeatureReader } from './set-feature-reader';
import { SetPins } from './set-pins';
import { startTraining } from './training-parts';

export type Features = Awaited<ReturnType<typeof startFeatures>>;

interface Foundation {
  readonly config: ApiConfig;
  readonly log: Logger;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly metrics: Metrics;
}

interface Ground {
  readonly database: Database;
  readonly trail: AuditTrail;
}

/** The feature service: what is published, the log of events, and reads of what they come to. */
export async function startFeatures(foundation: Foundation, { database, trail }: Ground) {
  const { config, log, clock, metrics } = foundation;
  const compiler = new DefinitionCompiler();
  const now = (): number => clock.now() * 1000;
  const states = new StateStore(config.featureReads.stateBytes, now);
  const snapshot = new DefinitionSnapshot({ database, compiler, log, onChange: () => reads.usePublished() });
  const store = new DefinitionStore({ database, clock, compiler, snapshot, setsInService: featureSetsInService });
  const history = new LogHistory(database, snapshot, clock);
  const counter = {
    count: (tier: CacheTier, result: 'hit' | 'miss', times: number): void =>
      metrics.features.countCache(tier, result, times),
  };
  const quality = new FeatureQuality();
  const selections = new Selections({ compiler, snapshot, store });
  const live = new LiveReads({ store: states, log: history, now, counter });
  const settlement = new Settlement(now);
  const recent = new RecentPast(states, settlement);
  const { pastBytes: cacheBytes, clockSkewMs } = config.featureReads;
  const past = new PastReads({ log: history, now, counter, recent, settlement, cacheBytes });
  const walks = new PastWalks(history, now);
  const frames = new SelectedFrames({ store: states, live, past, now, quality });
  const reads = new FeatureReads(
    { selections, snapshot, store: states, live, past, walks, frames, settlement, now },
    config.featureReads,
  );
  const sets = new SetReads({ snapshot, selections, frames });
  const featurePins = pinsOf(foundation, { database, trail }, sets);
  readMetrics(metrics, states, compiler);
  await snapshot.start();
  const { trainingFiles, operationRecords } = await startTraining(foundation);
  const trainingSets = new TrainingSets({
    ...{ reads, settlement, now, clockSkewMs },
    files: trainingFiles,
    database,
    streams: snapshot,
  });
  const heard = { streams: snapshot, listeners: [states], settlement };
  const featureLog = await startLog(foundation, { database, trail }, heard);
  return {
    featureLog,
    featureCompiler: compiler,
    featureSnapshot: snapshot,
    featureStore: store,
    featureReads: reads,
    feastFacade: new FeastFacade(reads, featureLog, snapshot),
    featurePins,
    featureReader: new SetFeatureReader({ sets, pins: featurePins, clock, metrics, clockSkewMs }),
    trainingSets,
    operationRecords,
    backfills: new Backfills({ database, clock, streams: snapshot, selections, reads, clockSkewMs }),
    featureQuality: quality,
    ruleTally: compiler.tally,
    stopFeatures: async () => {
      snapshot.stop();
      trainingFiles.stop();
      await featureLog.stop();
    },
  };
}

function readMetrics({ features }: Metrics, states: StateStore, { tally }: DefinitionCompiler): void {
  features.read({ entities: () => states.size, bytes: () => states.bytes, rules: () => tally.lines() });
}

/** What they keep is on record. */
function pinsOf(foundation: Foundation, { database, trail }: Ground, sets: SetReads): SetPins {
  const record = systemRecord(trail, systemActor('feature-sets'), foundation);
  const keep = (pin: FeatureSetPin): Promise<string> => database.transaction((tx) => pinFeatureSet(tx, pin, record));
  return new SetPins({ sets, keep });
}

/** What it drops is on record. */
function startLog(
  foundation: Foundation,
  { database, trail }: Ground,
  heard: Pick<FeatureLogParts, 'streams' | 'listeners' | 'settlement'>,
): Promise<FeatureLog> {
  const { config, clock, log, metrics } = foundation;
  const record = systemRecord(trail, systemActor('feature-log'), foundation);
  const onResults = (stream: string, result: string, events: number): void =>
    metrics.features.featureEvents.inc({ stream, result }, events);
  const visible = new PushToVisible(
    () => clock.now() * 1000,
    (seconds) => metrics.features.pushToVisible.observe(seconds),
  );
  // What is served has heard of an event before it counts as visible.
  const listeners = [...heard.listeners, visible];
  return FeatureLog.start({ ...heard, listeners, database, clock, log, record, onResults }, config.features);
}
