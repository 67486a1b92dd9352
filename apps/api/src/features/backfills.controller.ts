import { Body, Controller, Post, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { RecordChange } from '@sibyl/audit';
import { Backfills } from '@sibyl/features';
import type { Response } from 'express';
import { Endpoint } from '../http/endpoint.decorator';
import { Recorded } from '../http/record-change';
import { AtOnce } from '../operations/at-once';
import { LongWork, Waiting, type LongCall } from '../operations/long-work';
import { send } from '../operations/reply';
import { BackfillBody } from './feature.dto';
import { toBackfillView } from './quality.view';

/** Backfills of this process: each reads the log as fast as it can, for as long as it takes. */
const AT_ONCE = { what: 'backfills', inAll: 4, ofOne: 2, retryAfterSeconds: 30 };

@ApiTags('Features')
@Controller('v1/features')
export class BackfillsController {
  private readonly places = new AtOnce(AT_ONCE);

  constructor(
    private readonly backfills: Backfills,
    private readonly work: LongWork,
  ) {}

  @Post('backfill')
  @Endpoint({
    summary: 'Compute a view over the past from the log',
    description:
      'Every entity of its streams at each step of the time. Its states come into memory, and what its features came to is kept as the baseline of this version, which `GET /v1/features/stats` shows beside what is served. Past the wait, or with `Prefer: respond-async`, 202 with an operation. A worker computes two of one key at once, four in all; the limits are each worker’s own.',
    access: 'features:write',
    action: 'feature.backfill',
    creates: true,
    body: 'json',
    headers: { Prefer: '`respond-async`: answer 202 at once' },
    request: { view: 'btc_technical', from: '2026-01-15T00:00:00Z', to: '2026-01-15T12:00:00Z', step: '1h' },
    answer: 'FeatureBackfill',
    also: { 202: 'Goes on as an operation' },
    errors: [
      'feature_view_not_found',
      'timestamp_in_future',
      'timestamp_before_retention',
      'batch_too_large',
      'queue_full',
      'database_unavailable',
    ],
  })
  async backfill(
    @Body() body: BackfillBody,
    @Recorded() record: RecordChange,
    @Waiting() call: LongCall,
    @Res({ passthrough: true }) response: Response,
  ): Promise<unknown> {
    const leave = this.places.enter(call.context.principal?.keyId ?? '');
    let begun = false;
    try {
      const plan = await this.backfills.prepare(body);
      const reply = await this.work.run(call, 'feature.backfill', async (signal, _, onProgress) => {
        begun = true;
        const made = await this.backfills.run(plan, { signal, onProgress }, record).finally(leave);
        return { status: 200, headers: {}, body: toBackfillView(made) };
      });
      return send(reply, response);
    } finally {
      if (!begun) leave();
    }
  }
}
