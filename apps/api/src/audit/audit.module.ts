import { Module } from '@nestjs/common';
import { AuditController } from './audit.controller';
import { KnownEvents } from './known-events';
import { PredictionsController } from './predictions.controller';
import { RecordedPredictions } from './recorded-predictions';

@Module({
  controllers: [AuditController, PredictionsController],
  providers: [KnownEvents, RecordedPredictions],
  exports: [RecordedPredictions],
})
export class AuditModule {}
