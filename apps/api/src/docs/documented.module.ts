import { Module, type Type } from '@nestjs/common';
import { AuditLog, AuditTrail } from '@sibyl/audit';
import { ApiKeys, Gate, IdempotencyStore } from '@sibyl/auth';
import { Database } from '@sibyl/database';
import {
  Backfills,
  DefinitionStore,
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
import { Clock } from '@sibyl/kernel';
import { ArtifactScrubber, ModelRegistry } from '@sibyl/registry';
import { Metrics } from '@sibyl/telemetry';
import { AuditModule } from '../audit/audit.module';
import { FeaturesModule } from '../features/features.module';
import { HealthModule } from '../health/health.module';
import { Drain } from '../http/drain';
import { HttpOptions } from '../http/http-options';
import { LOG } from '../http/log';
import { KeysModule } from '../keys/keys.module';
import { MetaModule } from '../meta/meta.module';
import { ModelsModule } from '../models/models.module';
import { ModelSources } from '../models/model-sources';
import { Serving } from '../models/serving';
import { OperationRecords } from '../operations/operation-records';
import { Operations } from '../operations/operations';
import { OperationsModule } from '../operations/operations.module';
import { PredictController } from '../predict/predict.controller';
import { Siblings } from '../workers/siblings';
import { DocsModule } from './docs.module';

/** What the modules ask their surroundings for. Nothing is ever called: the container only wants to find it. */
const ASKED_FOR = [
  ...[
    ApiKeys,
    ArtifactScrubber,
    AuditLog,
    AuditTrail,
    Clock,
    Database,
    DefinitionStore,
    Drain,
    FeastFacade,
    FeatureLog,
    Backfills,
    Lineage,
    LineageFeed,
    PredictionLineage,
    FeatureQuality,
    FeatureReads,
    Gate,
    HttpOptions,
    IdempotencyStore,
    Metrics,
    RuleTally,
    TrainingSets,
  ],
  ...[GpuMeter, ModelRegistry, ModelRuntime, ModelSources, OperationRecords, Operations, Serving, Siblings],
  LOG,
];
const standIns = ASKED_FOR.map((provide) => ({ provide: provide as Type | string, useValue: {} }));

@Module({ providers: standIns, exports: standIns.map(({ provide }) => provide) })
class StandIns {}

/** Every module with routes, for a preview that no server is made of: the description and the tests look at its controllers. */
@Module({
  controllers: [PredictController],
  imports: [
    { module: StandIns, global: true },
    ModelsModule,
    FeaturesModule,
    KeysModule,
    AuditModule,
    OperationsModule,
    HealthModule,
    MetaModule,
    DocsModule,
  ],
})
export class DocumentedModule {}
