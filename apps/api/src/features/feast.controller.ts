import { Controller, Header, Post, Req } from '@nestjs/common';
import { ApiBody, ApiTags } from '@nestjs/swagger';
import type { Principal } from '@sibyl/auth';
import { FeastFacade } from '@sibyl/features';
import { unreachable } from '../front/unreachable';
import { checkJsonType, readBody } from '../http/body';
import { Caller } from '../http/caller.decorator';
import { Endpoint } from '../http/endpoint.decorator';
import { HttpOptions } from '../http/http-options';
import { parseJson } from '../http/json-text';
import type { ApiRequest } from '../http/request-context';
import { countsOf } from './pushes';
import { READ_DEPTH } from './read-body';
import { FEAST_ONLINE_BODY, FEAST_ONLINE_EXAMPLE, FEAST_PUSH_BODY, FEAST_PUSH_EXAMPLE } from './feast.schemas';

/** Where clients of Feast look for its feature server. `ReadHandler` takes the reads before the ordinary stack. */
@ApiTags('Features')
@Controller()
export class FeastController {
  constructor(
    private readonly facade: FeastFacade,
    private readonly options: HttpOptions,
  ) {}

  @Post('get-online-features')
  @ApiBody({ schema: FEAST_ONLINE_BODY })
  @Endpoint({
    summary: 'Read features as from a feature server of Feast',
    description:
      'Views and sets under the names that Feast has for them; `view:feature`, or a set as `feature_service`. Values that are too old are `OUTSIDE_MAX_AGE`, those of unknown entities `NOT_FOUND`. `POST /v1/features/online` tells more.',
    access: 'features:read',
    action: 'feature.online',
    body: 'raw',
    request: FEAST_ONLINE_EXAMPLE,
    answer: 'FeastOnlineFeatures',
    errors: [
      'malformed_json',
      'json_too_deep',
      'feature_set_not_found',
      'feature_view_not_found',
      'batch_too_large',
      'database_unavailable',
    ],
  })
  online(): never {
    throw unreachable();
  }

  @Post('push')
  @Header('Content-Type', 'text/plain; charset=utf-8')
  @ApiBody({ schema: FEAST_PUSH_BODY })
  @Endpoint({
    summary: 'Push events as to a feature server of Feast',
    description:
      'A stream is a push source. Durable when it is answered; the answer is empty. Where rows cannot be stored the others are, and the error names them. `POST /v1/features/push` tells of each event what became of it.',
    access: 'features:write',
    action: 'feature.push',
    creates: true,
    body: 'stream',
    request: FEAST_PUSH_EXAMPLE,
    answer: { mediaType: 'text/plain' },
    errors: [
      'malformed_json',
      'json_too_deep',
      'stream_not_found',
      'batch_too_large',
      'event_invalid',
      'queue_full',
      'database_unavailable',
    ],
  })
  async push(@Caller() caller: Principal, @Req() request: ApiRequest): Promise<string> {
    const { context } = request;
    await this.facade.push(caller.actor, await this.bodyOf(request), {
      onStream: (stream) => (context.resource = { type: 'feature_stream', id: stream }),
      onResults: (results) => (context.changes = countsOf(results)),
    });
    return '';
  }

  private async bodyOf(request: ApiRequest): Promise<unknown> {
    checkJsonType(request);
    const { bodyBytes: bytes, bodyTimeoutMs: timeoutMs, jsonDepth } = this.options;
    return parseJson(await readBody(request, { bytes, timeoutMs }), Math.min(READ_DEPTH, jsonDepth));
  }
}
