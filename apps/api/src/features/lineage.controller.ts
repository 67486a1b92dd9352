import { Controller, Get, Headers, Query, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { Principal } from '@sibyl/auth';
import type { Response } from 'express';
import { acceptsJson, notAcceptable } from '../http/accept';
import { Caller } from '../http/caller.decorator';
import { Endpoint } from '../http/endpoint.decorator';
import { LineageQueryDto } from './lineage.dto';
import { LineageAnswers } from './lineage-answers';

@ApiTags('Features')
@Controller('v1/features/lineage')
export class LineageController {
  constructor(private readonly lineage: LineageAnswers) {}

  @Get()
  @Endpoint({
    summary: 'Show what features come from and who needs them',
    description:
      'From the fields of streams through operators to features, sets, versions of models and their aliases: of everything that is published, or of one view, set, model or stream. `impact` names a field and tells what breaks without it. `prediction` leads to one prediction, from its own record: the versions, events, times and ages that it was made from, and which values the request gave or a default stood in for; one made with the same key, those of other keys need `audit:read`. `format=mermaid` answers a flowchart as `text/plain`, `format=openlineage` the same as events of OpenLineage with the lineage of columns.',
    access: 'features:read',
    action: 'feature.lineage',
    answer: 'FeatureLineage',
    answersAs: ['text/plain'],
    errors: [
      'feature_view_not_found',
      'feature_set_not_found',
      'stream_not_found',
      'model_not_found',
      'prediction_not_found',
      'invalid_parameter',
      'database_unavailable',
    ],
  })
  async show(
    @Caller() caller: Principal,
    @Query() query: LineageQueryDto,
    @Headers('accept') accept: string | undefined,
    @Res({ passthrough: true }) response: Response,
  ): Promise<Record<string, unknown> | string> {
    if (query.format !== 'mermaid' && !acceptsJson(accept)) throw notAcceptable();
    const answer = await this.lineage.answer(caller, query);
    if (typeof answer === 'string') response.type('text/plain');
    return answer;
  }
}
