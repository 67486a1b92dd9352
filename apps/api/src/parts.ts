import type { Provider } from '@nestjs/common';
import { AuditLog, AuditTrail } from '@sibyl/audit';
import { ApiKeys, Gate, IdempotencyStore, KeyUsage } from '@sibyl/auth';
import { Database } from '@sibyl/database';
import {
  DefinitionStore,
  Backfills,
  DefinitionSnapshot,
  FeastFacade,
  FeatureLog,
  FeatureQuality,
  FeatureReads,
  Lineage,
  LineageFeed,
  PredictionLineage,
  RuleTally,
  TrainingSets,
} from '@sibyl/features';
import { GpuMeter, ModelRuntime } from '@sibyl/inference';
import { Clock, IdSource } from '@sibyl/kernel';
import { ArtifactScrubber, ModelCatalog, ModelRegistry } from '@sibyl/registry';
import { Metrics } from '@sibyl/telemetry';
import { PayloadDigest } from '@sibyl/prediction';
import type { ApiConfig } from '../config';
import { Drain } from './http/drain';
import { EventRecorder } from './http/event-recorder';
import { HttpOptions } from './http/http-options';
import { LOG } from './http/log';
import { ModelSources } from './models/model-sources';
import { Serving } from './models/serving';
import { OperationRecords } from './operations/operation-records';
import { Operations } from './operations/operations';
import type { Platform } from './platform';
import { Siblings } from './workers/siblings';

type Token = Extract<Provider, { provide: unknown }>['provide'];

/** What controllers ask for, and where a server has it: in one list, so that the description of the API finds the same. */
export const PARTS: readonly (readonly [token: Token, of: (platform: Platform, config: ApiConfig) => unknown])[] = [
  [Clock, ({ clock }) => clock],
  [IdSource, ({ ids }) => ids],
  [Metrics, ({ metrics }) => metrics],
  [LOG, ({ log }) => log],
  [Siblings, ({ siblings }) => siblings],
  [Database, ({ database }) => database],
  [AuditTrail, ({ trail }) => trail],
  [AuditLog, ({ auditLog }) => auditLog],
  [Gate, ({ gate }) => gate],
  [ApiKeys, ({ apiKeys }) => apiKeys],
  [KeyUsage, ({ keyUsage }) => keyUsage],
  [IdempotencyStore, ({ idempotency }) => idempotency],
  [ModelRuntime, ({ runtime }) => runtime],
  [GpuMeter, ({ gpus }) => gpus],
  [ModelRegistry, ({ registry }) => registry],
  [ArtifactScrubber, ({ scrubber }) => scrubber],
  [ModelCatalog, ({ registry }) => registry.catalog],
  [FeatureLog, ({ featureLog }) => featureLog],
  [DefinitionStore, ({ featureStore }) => featureStore],
  [FeatureReads, ({ featureReads }) => featureReads],
  [FeastFacade, ({ feastFacade }) => feastFacade],
  [Lineage, ({ lineage }) => lineage],
  [LineageFeed, ({ lineageFeed }) => lineageFeed],
  [PredictionLineage, ({ predictionLineage }) => predictionLineage],
  [PayloadDigest, ({ payloadDigest }) => payloadDigest],
  [TrainingSets, ({ trainingSets }) => trainingSets],
  [Backfills, ({ backfills }) => backfills],
  [DefinitionSnapshot, ({ featureSnapshot }) => featureSnapshot],
  [FeatureQuality, ({ featureQuality }) => featureQuality],
  [RuleTally, ({ ruleTally }) => ruleTally],
  [Serving, ({ serving }) => serving],
  [ModelSources, ({ sources }) => sources],
  [HttpOptions, (_, { http }) => http],
  [Drain, () => new Drain()],
  [EventRecorder, ({ trail, clock, metrics, log }) => new EventRecorder(trail, clock, metrics, log)],
  [OperationRecords, ({ operationRecords }) => operationRecords],
  [
    Operations,
    ({ ids, clock, metrics }, { operations }) => countedOperations(new Operations(ids, clock, operations), metrics),
  ],
];

function countedOperations(operations: Operations, { server }: Metrics): Operations {
  server.readOperations(() => operations.running);
  return operations;
}
