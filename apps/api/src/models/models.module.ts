import { Module } from '@nestjs/common';
import { LongWork } from '../operations/long-work';
import { AliasesController } from './aliases.controller';
import { ModelLookup } from './model-lookup';
import { ModelsController } from './models.controller';
import { PoliciesController } from './policies.controller';
import { Registrations } from './registrations';
import { VersionsController } from './versions.controller';

@Module({
  controllers: [ModelsController, VersionsController, AliasesController, PoliciesController],
  providers: [ModelLookup, Registrations, LongWork],
})
export class ModelsModule {}
