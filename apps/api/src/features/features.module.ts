import { Module } from '@nestjs/common';
import { AuditModule } from '../audit/audit.module';
import { Definitions } from './definitions';
import { FeastController } from './feast.controller';
import { LineageAnswers } from './lineage-answers';
import { LineageController } from './lineage.controller';
import { PushController } from './push.controller';
import { Pushes } from './pushes';
import { HistoricalController } from './historical.controller';
import { OperationsModule } from '../operations/operations.module';
import { TeamQuality } from './team-quality';
import { Trainings } from './trainings';
import { BackfillsController } from './backfills.controller';
import { QualityController } from './quality.controller';
import { ReadBody } from './read-body';
import { ReadsController } from './reads.controller';
import { SetsController } from './sets.controller';
import { ViewsController } from './views.controller';

@Module({
  imports: [OperationsModule, AuditModule],
  controllers: [
    PushController,
    ReadsController,
    HistoricalController,
    QualityController,
    BackfillsController,
    ViewsController,
    SetsController,
    LineageController,
    FeastController,
  ],
  providers: [Pushes, Definitions, LineageAnswers, ReadBody, TeamQuality, Trainings],
})
export class FeaturesModule {}
