import { Controller, Get, Header, Param } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { Principal } from '@sibyl/auth';
import { Caller } from '../http/caller.decorator';
import { Endpoint } from '../http/endpoint.decorator';
import { toPredictionText } from './audit.view';
import { RecordedPredictions } from './recorded-predictions';

@ApiTags('Predictions')
@Controller('v1/predictions')
export class PredictionsController {
  constructor(private readonly predictions: RecordedPredictions) {}

  @Get(':id')
  @Header('Content-Type', 'application/json; charset=utf-8')
  @Endpoint({
    summary: 'Show a recorded prediction',
    description: 'One made with the same key; those of other keys need `audit:read`.',
    access: 'predict',
    alsoFor: 'audit:read',
    action: 'prediction.read',
    resource: ['prediction', 'id'],
    answer: 'RecordedPrediction',
    errors: ['prediction_not_found', 'database_unavailable'],
  })
  async find(@Caller() caller: Principal, @Param('id') id: string): Promise<string> {
    return toPredictionText(id, await this.predictions.find(caller, id));
  }
}
