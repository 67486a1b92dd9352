import { Module, type DynamicModule, type Provider } from '@nestjs/common';
import type { ApiConfig } from './config';
import { AuditModule } from './src/audit/audit.module';
import { DocsModule } from './src/docs/docs.module';
import { FeaturesModule } from './src/features/features.module';
import { FrontModule } from './src/front/front.module';
import { HealthModule } from './src/health/health.module';
import { AuditHook } from './src/http/audit-hook';
import { EventRecorder } from './src/http/event-recorder';
import { HttpModule } from './src/http/http.module';
import { KeysModule } from './src/keys/keys.module';
import { MetaModule } from './src/meta/meta.module';
import { ModelsModule } from './src/models/models.module';
import { OperationsModule } from './src/operations/operations.module';
import { PARTS } from './src/parts';
import type { Platform } from './src/platform';

/** The parts of the platform under the types by which controllers ask for them. */
@Module({})
class PlatformModule {
  static of(platform: Platform, config: ApiConfig): DynamicModule {
    const providers = PARTS.map(([provide, of]): Provider => ({ provide, useValue: of(platform, config) }));
    const hook: Provider = {
      provide: AuditHook,
      useFactory: (recorder: EventRecorder) => new AuditHook(recorder),
      inject: [EventRecorder],
    };
    return {
      module: PlatformModule,
      global: true,
      providers: [...providers, hook],
      exports: [AuditHook, ...PARTS.map(([token]) => token)],
    };
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
