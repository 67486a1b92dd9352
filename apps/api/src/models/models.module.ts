import { Module } from '@nestjs/common';
import { LongWork } from '../operations/long-work';
import { AliasesController } from './aliases.controller';
import { ModelLookup } from './model-lookup';
import { ModelReload } from './model-reload';
import { ModelsController } from './models.controller';
import { Registrations } from './registrations';
import { ReloadController } from './reload.controller';
import { VersionsController } from './versions.controller';

@Module({
  controllers: [ModelsController, VersionsController, AliasesController, ReloadController],
  providers: [ModelLookup, Registrations, ModelReload, LongWork],
})
export class ModelsModule {}
