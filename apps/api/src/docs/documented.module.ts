import { Module } from '@nestjs/common';
import { AuditModule } from '../audit/audit.module';
import { FeaturesModule } from '../features/features.module';
import { HealthModule } from '../health/health.module';
import { KeysModule } from '../keys/keys.module';
import { MetaModule } from '../meta/meta.module';
import { ModelsModule } from '../models/models.module';
import { OperationsModule } from '../operations/operations.module';
import { PARTS } from '../parts';
import { PredictController } from '../predict/predict.controller';
import { DocsModule } from './docs.module';

/** What the modules ask their surroundings for. Nothing is ever called: the container only wants to find it. */
const standIns = PARTS.map(([provide]) => ({ provide, useValue: {} }));

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
