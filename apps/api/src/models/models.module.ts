import { Module } from '@nestjs/common';
import { LongWork } from '../operations/long-work';
import { AliasesController } from './aliases.controller';
import { ArtifactChecks } from './artifact-checks';
import { ModelLookup } from './model-lookup';
import { ModelReload } from './model-reload';
import { ModelsController } from './models.controller';
import { PoliciesController } from './policies.controller';
import { Registrations } from './registrations';
import { ReloadController } from './reload.controller';
import { Uploads } from './uploads';
import { UploadsController } from './uploads.controller';
import { VersionExports } from './version-exports';
import { VersionFilesController } from './version-files.controller';
import { VersionsController } from './versions.controller';

@Module({
  controllers: [
    ModelsController,
    VersionsController,
    AliasesController,
    PoliciesController,
    ReloadController,
    VersionFilesController,
    UploadsController,
  ],
  providers: [ArtifactChecks, ModelLookup, Registrations, ModelReload, VersionExports, Uploads, LongWork],
})
export class ModelsModule {}
