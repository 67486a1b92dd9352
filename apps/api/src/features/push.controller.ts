import { Controller, Post, Query, Req } from '@nestjs/common';
import { ApiBody, ApiConsumes, ApiTags } from '@nestjs/swagger';
import type { Principal } from '@sibyl/auth';
import { Caller } from '../http/caller.decorator';
import { Endpoint } from '../http/endpoint.decorator';
import type { ApiRequest } from '../http/request-context';
import { PushQuery } from './feature.dto';
import { PUSH_BODY, PUSH_EXAMPLE, PUSH_LINE } from './feature.schemas';
import { toPushView } from './push.view';
import { Pushes } from './pushes';

@ApiTags('Features')
@Controller('v1/features')
export class PushController {
  constructor(private readonly pushes: Pushes) {}

  @Post('push')
  @ApiConsumes('application/json', 'application/x-ndjson')
  @ApiBody({
    description:
      'Up to 10,000 events, or one without the list; or a history, one event a line, of which the schema is that of one.',
    schema: PUSH_BODY,
  })
  @Endpoint({
    summary: 'Push events of a stream',
    description:
      'Durable when it is answered, and safe to repeat: an event is known by its entity, `event_time` and `event_id`, or by what it says; the same `event_id` at another `event_time` is another event. All events of one JSON push are stored in one transaction. As `application/x-ndjson` a history of any length is taken as it comes, eight of one key at once by each worker; should it break off, send it again. Rows that cannot be stored say why; if no event of a JSON push can, the answer is `event_invalid` or, where all exist with other values, `event_conflict`. An upload of lines answers 200 with `counts` and the first `faults` whatever became of its lines: look at `counts`.',
    access: 'features:write',
    action: 'feature.push',
    creates: true,
    body: 'stream',
    request: PUSH_EXAMPLE,
    line: PUSH_LINE,
    answer: 'PushResults',
    errors: [
      'malformed_json',
      'json_too_deep',
      'stream_not_found',
      'batch_too_large',
      'event_invalid',
      'event_conflict',
      'queue_full',
      'database_unavailable',
    ],
  })
  async push(
    @Caller() caller: Principal,
    @Query() { stream }: PushQuery,
    @Req() request: ApiRequest,
  ): Promise<Record<string, unknown>> {
    return toPushView(await this.pushes.receive(caller, request, stream));
  }
}
