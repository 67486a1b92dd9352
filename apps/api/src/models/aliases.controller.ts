import { Body, Controller, Get, Headers, Param, Post, Put, Query, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { RecordChange } from '@sibyl/audit';
import type { Principal } from '@sibyl/auth';
import { ModelRegistry } from '@sibyl/registry';
import type { Response } from 'express';
import { Caller } from '../http/caller.decorator';
import { Endpoint } from '../http/endpoint.decorator';
import { Recorded } from '../http/record-change';
import { AliasQuery, HistoryQuery, MoveAliasBody, ReasonBody } from './model.dto';
import { toAliasView, toHistoryView } from './model.view';
import { preconditionOf } from './precondition';
import { Serving } from './serving';

@ApiTags('Aliases')
@Controller('v1/models/:name')
export class AliasesController {
  constructor(
    private readonly registry: ModelRegistry,
    private readonly serving: Serving,
  ) {}

  @Get('aliases/:alias')
  @Endpoint({
    summary: 'Show what an alias points at, or pointed at then',
    access: 'models:read',
    action: 'model.read',
    model: 'name',
    answer: 'Alias',
    errors: ['model_not_found', 'alias_not_found', 'invalid_parameter', 'unknown_field', 'database_unavailable'],
  })
  async find(
    @Param('name') name: string,
    @Param('alias') alias: string,
    @Query() query: AliasQuery,
    @Res({ passthrough: true }) response: Response,
  ): Promise<Record<string, unknown>> {
    const event = await this.registry.catalog.aliasAt(
      name,
      alias,
      query.at === undefined ? undefined : Date.parse(query.at),
    );
    response.set('ETag', event.etag);
    return toAliasView(event);
  }

  @Put('aliases/:alias')
  @Endpoint({
    summary: 'Promote: point an alias at a version',
    description:
      'The version is warmed first and then switched to at once. `If-Match` with the ETag of the alias, or `If-None-Match: *` for a new one. ' +
      'A version that would break callers of the present one is refused with `breaking_change` unless `allow_breaking` is true.',
    access: 'models:promote',
    action: 'model.promote',
    model: 'name',
    body: 'json',
    headers: { 'If-Match': 'ETag of the alias as you read it', 'If-None-Match': '`*` makes a new alias' },
    request: { version: '1.3.0', reason: 'better on last week’s data' },
    answer: 'Alias',
    errors: [
      'policy_forbidden',
      'model_not_found',
      'version_not_found',
      'version_not_servable',
      'breaking_change',
      'etag_mismatch',
      'precondition_required',
      'model_not_ready',
      'database_unavailable',
    ],
  })
  async move(
    @Caller() caller: Principal,
    @Param('name') model: string,
    @Param('alias') alias: string,
    @Body() body: MoveAliasBody,
    @Headers() headers: Record<string, string | undefined>,
    @Recorded() record: RecordChange,
    @Res({ passthrough: true }) response: Response,
  ): Promise<Record<string, unknown>> {
    const { allow_breaking: allowBreaking = false, ...target } = body;
    const event = await this.serving.promote(
      caller.actor,
      { model, alias, ...target, allowBreaking, ...preconditionOf(headers) },
      record,
    );
    response.set('ETag', event.etag);
    return toAliasView(event);
  }

  @Post('aliases/:alias/rollback')
  @Endpoint({
    summary: 'Point an alias back at the version before the present one',
    access: 'models:promote',
    action: 'model.rollback',
    model: 'name',
    body: 'json',
    headers: { 'If-Match': 'ETag of the alias as you read it' },
    request: { reason: 'too many false alarms' },
    answer: 'Alias',
    errors: [
      'policy_forbidden',
      'model_not_found',
      'alias_not_found',
      'version_not_servable',
      'etag_mismatch',
      'precondition_required',
      'model_not_ready',
      'database_unavailable',
    ],
  })
  async rollback(
    @Caller() caller: Principal,
    @Param('name') model: string,
    @Param('alias') alias: string,
    @Body() body: ReasonBody,
    @Headers() headers: Record<string, string | undefined>,
    @Recorded() record: RecordChange,
    @Res({ passthrough: true }) response: Response,
  ): Promise<Record<string, unknown>> {
    const event = await this.serving.rollback(
      caller.actor,
      { model, alias, ...body, ...preconditionOf(headers) },
      record,
    );
    response.set('ETag', event.etag);
    return toAliasView(event);
  }

  @Get('history')
  @Endpoint({
    summary: 'List who moved which alias, when and why',
    access: 'models:read',
    action: 'model.read',
    model: 'name',
    answer: 'AliasHistory',
    errors: ['model_not_found', 'invalid_parameter', 'unknown_field', 'database_unavailable'],
  })
  async history(@Param('name') name: string, @Query() query: HistoryQuery): Promise<Record<string, unknown>> {
    return toHistoryView(name, await this.registry.catalog.history(name, query));
  }
}
