import { Module } from '@nestjs/common';
import { Definitions } from './definitions';
import { LineageController } from './lineage.controller';
import { PushController } from './push.controller';
import { Pushes } from './pushes';
import { SetsController } from './sets.controller';
import { ViewsController } from './views.controller';

@Module({
  controllers: [PushController, ViewsController, SetsController, LineageController],
  providers: [Pushes, Definitions],
})
export class FeaturesModule {}
