import { Module } from '@nestjs/common';
import { Definitions } from './definitions';
import { FeastController } from './feast.controller';
import { LineageController } from './lineage.controller';
import { PushController } from './push.controller';
import { Pushes } from './pushes';
import { ReadBody } from './read-body';
import { ReadsController } from './reads.controller';
import { SetsController } from './sets.controller';
import { ViewsController } from './views.controller';

@Module({
  controllers: [PushController, ReadsController, ViewsController, SetsController, LineageController, FeastController],
  providers: [Pushes, Definitions, ReadBody],
})
export class FeaturesModule {}
