import { Body, Controller, Post, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { Response } from 'express';
import { Endpoint } from '../http/endpoint.decorator';
import { TextField } from '../http/fields';
import { Waiting, type LongCall } from '../operations/long-work';
import { send } from '../operations/reply';
import { ArtifactChecks } from './artifact-checks';
import { ModelReload } from './model-reload';

export class ReloadBody {
  @TextField({ description: 'Only this model; all models without it.', example: 'momentum', max: 128, optional: true })
  model?: string;
}

@ApiTags('Health')
@Controller()
export class ReloadController {
  constructor(
    private readonly reloads: ModelReload,
    private readonly checks: ArtifactChecks,
  ) {}

  @Post('health/artifacts/check')
  @Endpoint({
    summary: 'Read the stored bytes of one model, or of all, and say what is damaged',
    description:
      'What the background does at SIBYL_SCRUB_BYTES_PER_SECOND, at once. Past the wait, or with `Prefer: respond-async`, 202 with an operation.',
    access: 'ops:write',
    action: 'model.check',
    body: 'json',
    headers: { Prefer: '`respond-async`: answer 202 at once' },
    request: { model: 'momentum' },
    answer: 'ArtifactFindings',
    also: { 202: 'Goes on as an operation' },
    errors: ['database_unavailable'],
  })
  async check(
    @Body() body: ReloadBody,
    @Waiting() call: LongCall,
    @Res({ passthrough: true }) response: Response,
  ): Promise<unknown> {
    return send(await this.checks.run(call, body.model), response);
  }

  @Post('health/model/reload')
  @Endpoint({
    summary: 'Look at sources and aliases anew and load again what serves, without a gap',
    description:
      'Packages that the operator named are registered where they are new; every version that serves is read and checked again and loaded beside itself, takes over when it is warm, and the one before answers its last requests. `kept`: it could not be loaded anew, and what served goes on. Past the wait, or with `Prefer: respond-async`, 202 with an operation.',
    access: 'ops:write',
    action: 'model.reload',
    body: 'json',
    headers: { Prefer: '`respond-async`: answer 202 at once' },
    request: { model: 'momentum' },
    answer: 'ReloadedModels',
    also: { 202: 'Goes on as an operation' },
    errors: ['model_not_found', 'model_not_ready', 'database_unavailable'],
  })
  async reload(
    @Body() body: ReloadBody,
    @Waiting() call: LongCall,
    @Res({ passthrough: true }) response: Response,
  ): Promise<unknown> {
    return send(await this.reloads.run(call, body.model), response);
  }
}
