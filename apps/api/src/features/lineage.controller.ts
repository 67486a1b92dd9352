import { Controller, Get, Query, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { Lineage } from '@sibyl/features';
import type { Response } from 'express';
import { Endpoint } from '../http/endpoint.decorator';
import { LineageQueryDto } from './lineage.dto';
import { answerLineage } from './lineage.view';

@ApiTags('Features')
@Controller('v1/features/lineage')
export class LineageController {
  constructor(private readonly lineage: Lineage) {}

  @Get()
  @Endpoint({
    summary: 'Show what features come from and who needs them',
    description:
      'From the fields of streams through operators to features, sets, versions of models and their aliases: of everything that is published, or of one view, set, model or stream. `impact` names a field and tells what breaks without it. `format=mermaid` answers a flowchart as `text/plain`, `format=openlineage` the same as events of OpenLineage with the lineage of columns.',
    access: 'features:read',
    action: 'feature.lineage',
    answer: 'FeatureLineage',
    errors: [
      'feature_view_not_found',
      'feature_set_not_found',
      'stream_not_found',
      'model_not_found',
      'invalid_parameter',
      'database_unavailable',
    ],
  })
  async show(
    @Query() { format = 'json', ...query }: LineageQueryDto,
    @Res({ passthrough: true }) response: Response,
  ): Promise<Record<string, unknown> | string> {
    const answer = await answerLineage(this.lineage, query, format);
    if (typeof answer === 'string') response.type('text/plain');
    return answer;
  }
}
