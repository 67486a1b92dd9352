import { Controller, Get, Param, Post, Query, Req, Res } from '@nestjs/common';
import { ApiBody, ApiConsumes, ApiTags } from '@nestjs/swagger';
import type { Principal } from '@sibyl/auth';
import type { Response } from 'express';
import { Caller } from '../http/caller.decorator';
import { Endpoint } from '../http/endpoint.decorator';
import type { ApiRequest } from '../http/request-context';
import { Waiting, type LongCall } from '../operations/long-work';
import { send } from '../operations/reply';
import { HistoricalQuery } from './feature.dto';
import { HISTORICAL_BODY, HISTORICAL_EXAMPLE, HISTORICAL_LINE } from './read.schemas';
import { Trainings } from './trainings';

@ApiTags('Features')
@Controller('v1')
export class HistoricalController {
  constructor(private readonly trainings: Trainings) {}

  @Post('features/historical')
  @ApiConsumes('application/json', 'application/x-ndjson')
  @ApiBody({
    description:
      'Rows, or what they are generated from; or rows as JSON lines, of which the schema is that of one, with the rest in the query.',
    schema: HISTORICAL_BODY,
  })
  @Endpoint({
    summary: 'Make a training set',
    description:
      'Point in time: each row has the values that were served at its `timestamp`, computed by what serves, from what was known then; with `known_at` of `now` late and corrected events count too. An operation: its `result` has the SHA-256 of the file, which is fetched from `GET /v1/operations/{id}/result` for a day, or until newer ones of the same key need its room. `DELETE /v1/operations/{id}` cancels it, or removes the file. A worker makes two of one key at once, three in all; the limits are each worker’s own.',
    access: 'features:read',
    action: 'feature.historical',
    creates: true,
    body: 'stream',
    request: HISTORICAL_EXAMPLE,
    line: HISTORICAL_LINE,
    status: 202,
    answer: 'Operation',
    errors: [
      'malformed_json',
      'json_too_deep',
      'feature_set_not_found',
      'feature_view_not_found',
      'stream_not_found',
      'timestamp_in_future',
      'timestamp_before_retention',
      'batch_too_large',
      'body_too_large',
      'queue_full',
      'storage_full',
      'database_unavailable',
    ],
  })
  async historical(
    @Query() query: HistoricalQuery,
    @Req() request: ApiRequest,
    @Waiting() call: LongCall,
    @Res({ passthrough: true }) response: Response,
  ): Promise<unknown> {
    return send(await this.trainings.begin(request, query, call), response);
  }

  @Get('operations/:id/result')
  @Endpoint({
    summary: 'Fetch the file of an operation',
    description:
      'The training set that `POST /v1/features/historical` made, for the key that began it, in its format: JSON lines, CSV or Parquet. 404 where it is not finished, or not kept any more: expired, deleted, or gone for a newer one.',
    access: 'features:read',
    action: 'operation.fetch',
    resource: ['operation', 'id'],
    answer: { mediaType: 'application/x-ndjson' },
    answersAs: ['text/csv', 'application/vnd.apache.parquet'],
    errors: ['operation_not_found'],
  })
  result(@Caller() caller: Principal, @Param('id') id: string, @Res() response: Response): Promise<void> {
    return this.trainings.send(caller, id, response);
  }
}
