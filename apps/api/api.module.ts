import { Module, type DynamicModule, type Provider } from '@nestjs/common';
import { AuditLog, AuditTrail } from '@sibyl/audit';
import { ApiKeys, Gate, IdempotencyStore, KeyUsage } from '@sibyl/auth';
import { Database } from '@sibyl/database';
import {
  DefinitionStore,
  Backfills,
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
import type { ApiConfig } from './config';
import { AuditModule } from './src/audit/audit.module';
import { DocsModule } from './src/docs/docs.module';
import { FeaturesModule } from './src/features/features.module';
import { FrontModule } from './src/front/front.module';
import { HealthModule } from './src/health/health.module';
import { AuditHook } from './src/http/audit-hook';
import { Drain } from './src/http/drain';
import { EventRecorder } from './src/http/event-recorder';
import { HttpOptions } from './src/http/http-options';
import { HttpModule } from './src/http/http.module';
import { LOG } from './src/http/log';
import { KeysModule } from './src/keys/keys.module';
import { MetaModule } from './src/meta/meta.module';
import { ModelsModule } from './src/models/models.module';
import { ModelSources } from './src/models/model-sources';
import { Serving } from './src/models/serving';
import { Operations } from './src/operations/operations';
import { OperationsModule } from './src/operations/operations.module';
import type { Platform } from './src/platform';
import { Siblings } from './src/workers/siblings';

/** The parts of the platform under the types by which controllers ask for them. */
@Module({})
class PlatformModule {
  static of(platform: Platform, config: ApiConfig): DynamicModule {
    const { clock, ids, metrics, log, trail } = platform;
    const recorder = new EventRecorder(trail, clock, metrics, log);
    const values = new Map<unknown, unknown>([
      [Clock, clock],
      [IdSource, ids],
      [Metrics, metrics],
      [LOG, log],
      [Siblings, platform.siblings],
      [Database, platform.database],
      [AuditTrail, trail],
      [AuditLog, platform.auditLog],
      [Gate, platform.gate],
      [ApiKeys, platform.apiKeys],
      [KeyUsage, platform.keyUsage],
      [IdempotencyStore, platform.idempotency],
      [ModelRuntime, platform.runtime],
      [GpuMeter, platform.gpus],
      [ModelRegistry, platform.registry],
      [ArtifactScrubber, platform.scrubber],
      [ModelCatalog, platform.registry.catalog],
      [FeatureLog, platform.featureLog],
      [DefinitionStore, platform.featureStore],
      [FeatureReads, platform.featureReads],
      [FeastFacade, platform.feastFacade],
      [Lineage, platform.lineage],
      [LineageFeed, platform.lineageFeed],
      [PredictionLineage, platform.predictionLineage],
      [TrainingSets, platform.trainingSets],
      [Backfills, platform.backfills],
      [FeatureQuality, platform.featureQuality],
      [RuleTally, platform.ruleTally],
      [Serving, platform.serving],
      [ModelSources, platform.sources],
      [HttpOptions, config.http],
      [Drain, new Drain()],
      [EventRecorder, recorder],
      [AuditHook, new AuditHook(recorder)],
      [Operations, new Operations(ids, clock, config.operations)],
    ]);
    const providers = [...values].map(([provide, useValue]) => ({ provide, useValue }) as Provider);
    return { module: PlatformModule, global: true, providers, exports: [...values.keys()] as Provider[] };
  }
}

/** The server's HTTP side. */
@Module({})
export class ApiModule {
  static of(platform: Platform, config: ApiConfig): DynamicModule {
    return {
      module: ApiModule,
      imports: [
        PlatformModule.of(platform, config),
        HttpModule,
        FrontModule.of(platform, config),
        ModelsModule,
        FeaturesModule,
        KeysModule,
        AuditModule,
        OperationsModule,
        HealthModule,
        MetaModule,
        DocsModule,
      ],
    };
  }
}
