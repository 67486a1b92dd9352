import { Body, Controller, Delete, Get, Headers, Param, Patch, Post, Query, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { RecordChange } from '@sibyl/audit';
import { ApiKeys, type Principal } from '@sibyl/auth';
import type { Response } from 'express';
import { Caller } from '../http/caller.decorator';
import { Endpoint } from '../http/endpoint.decorator';
import { etagOf, ifMatchVersion } from '../http/etag';
import { Recorded } from '../http/record-change';
import { ChangeKeyBody, IssueKeyBody, KeyListQuery } from './key.dto';
import { toIssuedKeyView, toKeyDraft, toKeyListView, toKeyPatch, toKeyView, toRevokedView } from './key.view';

@ApiTags('Keys')
@Controller('v1/keys')
export class KeysController {
  constructor(private readonly keys: ApiKeys) {}

  @Post()
  @Endpoint({
    summary: 'Issue a key',
    description:
      'The answer shows the key this once. With `keys:write` no more than one’s own scopes; `keys:grant` issues any.',
    access: 'keys:write',
    action: 'key.issue',
    status: 201,
    creates: true,
    body: 'json',
    request: { name: 'fraud dashboard', role: 'team', rate_limit: { requests: 100, seconds: 60 } },
    answer: 'IssuedKey',
    errors: ['database_unavailable'],
  })
  async issue(
    @Caller() caller: Principal,
    @Body() body: IssueKeyBody,
    @Recorded() record: RecordChange,
    @Res({ passthrough: true }) response: Response,
  ): Promise<Record<string, unknown>> {
    const issued = await this.keys.issue(caller.actor, caller, toKeyDraft(body), record);
    response.set({ Location: `/v1/keys/${issued.key.id}`, ETag: etagOf(issued.key.version) });
    return toIssuedKeyView(issued);
  }

  @Get()
  @Endpoint({
    summary: 'List keys, newest first',
    access: 'keys:read',
    action: 'key.list',
    answer: 'KeyList',
    errors: ['invalid_parameter', 'unknown_field', 'database_unavailable'],
  })
  async list(@Query() query: KeyListQuery): Promise<Record<string, unknown>> {
    return toKeyListView(await this.keys.list(query));
  }

  @Get(':id')
  @Endpoint({
    summary: 'Show a key',
    access: 'keys:read',
    action: 'key.read',
    resource: ['key', 'id'],
    answer: 'Key',
    errors: ['key_not_found', 'database_unavailable'],
  })
  async find(
    @Param('id') id: string,
    @Res({ passthrough: true }) response: Response,
  ): Promise<Record<string, unknown>> {
    const key = await this.keys.find(id);
    response.set('ETag', etagOf(key.version));
    return toKeyView(key);
  }

  @Patch(':id')
  @Endpoint({
    summary: 'Change a key',
    description: 'What is absent stays; `null` takes a restriction away. `If-Match` is honoured.',
    access: 'keys:write',
    action: 'key.update',
    resource: ['key', 'id'],
    body: 'json',
    headers: { 'If-Match': 'ETag of the key as you read it' },
    request: { name: 'fraud dashboard', rate_limit: { requests: 200, seconds: 60 } },
    answer: 'Key',
    errors: ['key_not_found', 'etag_mismatch', 'database_unavailable'],
  })
  async change(
    @Caller() caller: Principal,
    @Param('id') id: string,
    @Body() body: ChangeKeyBody,
    @Recorded() record: RecordChange,
    @Headers('if-match') ifMatch: string | undefined,
    @Res({ passthrough: true }) response: Response,
  ): Promise<Record<string, unknown>> {
    const change = { id, patch: toKeyPatch(body), ifVersion: ifMatchVersion(ifMatch) };
    const key = await this.keys.change(caller.actor, caller, change, record);
    response.set('ETag', etagOf(key.version));
    return toKeyView(key);
  }

  @Delete(':id')
  @Endpoint({
    summary: 'Revoke a key',
    description: 'In force at once in this process and in under a second in all others.',
    access: 'keys:write',
    action: 'key.revoke',
    resource: ['key', 'id'],
    answer: 'RevokedKey',
    errors: ['key_not_found', 'database_unavailable'],
  })
  async revoke(
    @Caller() caller: Principal,
    @Param('id') id: string,
    @Recorded() record: RecordChange,
  ): Promise<Record<string, unknown>> {
    return toRevokedView(await this.keys.revoke(caller.actor, id, record));
  }
}
