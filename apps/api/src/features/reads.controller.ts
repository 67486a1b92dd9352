import { Controller, Post, Req } from '@nestjs/common';
import { ApiBody, ApiTags } from '@nestjs/swagger';
import { FeatureReads } from '@sibyl/features';
import { unreachable } from '../front/unreachable';
import { Endpoint } from '../http/endpoint.decorator';
import type { ApiRequest } from '../http/request-context';
import { EXPLAIN_BODY, EXPLAIN_EXAMPLE, ONLINE_BODY, ONLINE_EXAMPLE } from './read.schemas';
import { noteSelection } from './read-account';
import { ReadBody } from './read-body';
import { toExplanationView } from './read.view';

/** `ReadHandler` takes reads of now before the ordinary stack: here they are only declared. */
@ApiTags('Features')
@Controller('v1/features')
export class ReadsController {
  constructor(
    private readonly reads: FeatureReads,
    private readonly bodies: ReadBody,
  ) {}

  @Post('online')
  @ApiBody({ schema: ONLINE_BODY })
  @Endpoint({
    summary: 'Read features of entities',
    description:
      'By set, or by a list of `view:feature`, for up to 1,000 entities; now, or as of a past `timestamp`: then with what was known at that moment (`known_at` asks for another; `"now"` is corrected history, and the answer says so). Values that are too old, missing or refused by a rule are null, and their status says why. `given` stands in for what the request knows itself.',
    access: 'features:read',
    action: 'feature.online',
    body: 'raw',
    request: ONLINE_EXAMPLE,
    answer: 'OnlineFeatures',
    also: { 207: { same: 'Some values are not there, and the request says `Prefer: status=multi`' } },
    headers: { Prefer: '`status=multi`: 207 instead of 200 where some values are not there' },
    errors: [
      'malformed_json',
      'json_too_deep',
      'feature_set_not_found',
      'feature_view_not_found',
      'batch_too_large',
      'timestamp_in_future',
      'timestamp_before_retention',
      'database_unavailable',
    ],
  })
  online(): never {
    throw unreachable();
  }

  @Post('explain')
  @ApiBody({ schema: EXPLAIN_BODY })
  @Endpoint({
    summary: 'Explain the value of a feature',
    description:
      'What one value was computed from: its step, all that it rests on, with the values in between, and the newest 100 events behind each. By a set, `served` says what the policy of the set makes of it, as a read by the set answers it.',
    access: 'features:read',
    action: 'feature.explain',
    body: 'stream',
    request: EXPLAIN_EXAMPLE,
    answer: 'FeatureExplanation',
    errors: [
      'malformed_json',
      'json_too_deep',
      'feature_set_not_found',
      'feature_view_not_found',
      'timestamp_in_future',
      'timestamp_before_retention',
      'database_unavailable',
    ],
  })
  async explain(@Req() request: ApiRequest): Promise<Record<string, unknown>> {
    const { asked, feature } = await this.bodies.explain(request);
    const selection = await this.reads.select(asked);
    noteSelection(request.context, selection, { feature, entities: 1 });
    return toExplanationView(await this.reads.explain(selection, asked, feature));
  }
}
