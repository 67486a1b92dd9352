import { Body, Controller, Delete, Get, Param, Post, Query, Res } from '@nestjs/common';
import { ApiBody, ApiConsumes, ApiTags } from '@nestjs/swagger';
import type { RecordChange } from '@sibyl/audit';
import type { Principal } from '@sibyl/auth';
import { ModelRegistry } from '@sibyl/registry';
import type { Response } from 'express';
import { Caller } from '../http/caller.decorator';
import { Endpoint } from '../http/endpoint.decorator';
import { etagOf } from '../http/etag';
import type { PackageUpload } from '../http/package-upload';
import { Recorded } from '../http/record-change';
import { Uploaded } from '../http/uploaded.decorator';
import { Waiting, type LongCall } from '../operations/long-work';
import { send } from '../operations/reply';
import { DIFF_EXAMPLE } from './diff.schemas';
import { PACKAGE_BODY } from './model.schemas';
import { toDiffView } from './diff.view';
import { DiffQuery, LoadModelBody, ReasonBody, RegisterVersionBody } from './model.dto';
import { toUnloadedView, toVersionView } from './model.view';
import { Registrations } from './registrations';
import { Serving } from './serving';

@ApiTags('Model versions')
@Controller('v1/models')
export class VersionsController {
  constructor(
    private readonly registry: ModelRegistry,
    private readonly registrations: Registrations,
    private readonly serving: Serving,
  ) {}

  @Post('load')
  @Endpoint({
    summary: 'Load a version into memory',
    description:
      'Registers it from `registry_uri` first, if it is unknown. Past the wait, or with `Prefer: respond-async`, 202 with an operation.',
    access: 'models:write',
    action: 'model.load',
    body: 'json',
    creates: true,
    headers: { Prefer: '`respond-async`: answer 202 at once' },
    request: { model_id: 'momentum', version: '1.3.0' },
    answer: 'LoadedModel',
    also: { 202: 'Goes on as an operation' },
    errors: [
      'model_not_found',
      'version_not_found',
      'version_not_servable',
      'version_conflict',
      'model_forbidden',
      'manifest_mismatch',
      'model_rejected',
      'model_not_ready',
      'source_unavailable',
      'deadline_exceeded',
      'queue_full',
      'storage_full',
      'execution_provider_unavailable',
      'database_unavailable',
    ],
  })
  async load(
    @Caller() caller: Principal,
    @Body() body: LoadModelBody,
    @Recorded() record: RecordChange,
    @Waiting() call: LongCall,
    @Res({ passthrough: true }) response: Response,
  ): Promise<unknown> {
    return send(await this.registrations.load({ caller, record, call }, body), response);
  }

  @Delete(':name/:version')
  @Endpoint({
    summary: 'Unload a version from memory',
    description: 'The registry keeps it; where an alias serves it, the next request loads it again.',
    access: 'models:write',
    action: 'model.unload',
    model: 'name',
    answer: 'UnloadedModel',
    errors: ['model_not_found', 'version_not_found'],
  })
  async unload(@Param('name') name: string, @Param('version') version: string): Promise<Record<string, unknown>> {
    return toUnloadedView(await this.serving.unload(name, version));
  }

  @Post(':name/versions')
  @ApiConsumes('multipart/form-data', 'application/vnd.sibyl.version', 'application/json')
  @ApiBody(PACKAGE_BODY)
  @Endpoint({
    summary: 'Register a version',
    description:
      'Multipart: each part with a file name is that file of the package, a text field `version` where there is no manifest. Or JSON with `source_uri`. ' +
      'The same bytes again answer 200 and the same version. Past the wait, or with `Prefer: respond-async`, 202 with an operation.',
    access: 'models:write',
    action: 'model.register',
    model: 'name',
    status: 201,
    also: { 200: 'The same bytes were registered before', 202: 'Goes on as an operation' },
    body: 'package',
    creates: true,
    headers: { Prefer: '`respond-async`: answer 202 at once' },
    answer: 'ModelVersion',
    errors: [
      'version_conflict',
      'manifest_mismatch',
      'model_rejected',
      'source_unavailable',
      'deadline_exceeded',
      'queue_full',
      'storage_full',
      'database_unavailable',
    ],
  })
  async register(
    @Caller() caller: Principal,
    @Param('name') name: string,
    @Body() body: RegisterVersionBody,
    @Uploaded() upload: PackageUpload | undefined,
    @Recorded() record: RecordChange,
    @Waiting() call: LongCall,
    @Res({ passthrough: true }) response: Response,
  ): Promise<unknown> {
    return send(await this.registrations.register({ caller, record, call }, name, body, upload), response);
  }

  @Get(':name/versions/:version')
  @Endpoint({
    summary: 'Show all facts of a version, its validation report included',
    access: 'models:read',
    action: 'model.read',
    model: 'name',
    answer: 'ModelVersion',
    errors: ['model_not_found', 'version_not_found', 'database_unavailable'],
  })
  async find(
    @Param('name') name: string,
    @Param('version') version: string,
    @Res({ passthrough: true }) response: Response,
  ): Promise<Record<string, unknown>> {
    const found = await this.registry.find(name, version);
    response.set('ETag', etagOf(found.revision));
    return toVersionView(found);
  }

  @Get(':name/versions/:version/diff')
  @Endpoint({
    summary: 'Show how a version differs from another',
    description:
      'What a promotion would change for callers of `against`, and what of that breaks them. Golden samples that both can take are replayed ' +
      'through both, each in a process that ends with it; the result is kept.',
    access: 'models:read',
    action: 'model.read',
    model: 'name',
    answer: 'VersionDiff',
    example: DIFF_EXAMPLE,
    errors: ['model_not_found', 'version_not_found', 'invalid_parameter', 'unknown_field', 'database_unavailable'],
  })
  async diff(
    @Param('name') name: string,
    @Param('version') version: string,
    @Query() query: DiffQuery,
  ): Promise<Record<string, unknown>> {
    return toDiffView(await this.registry.diff(name, version, query.against));
  }

  @Post(':name/versions/:version/validate')
  @Endpoint({
    summary: 'Validate a version again',
    description:
      'Every step of its registration, in a process of its own. A version that fails is rejected, unless an alias serves it; other results than before take its approvals back. ' +
      'Past the wait, or with `Prefer: respond-async`, 202 with an operation, which can be cancelled.',
    access: 'models:write',
    action: 'model.validate',
    model: 'name',
    body: 'json',
    headers: { Prefer: '`respond-async`: answer 202 at once' },
    request: { reason: 'the golden samples were extended' },
    answer: 'ModelVersion',
    also: { 202: 'Goes on as an operation' },
    errors: [
      'model_not_found',
      'version_not_found',
      'version_not_servable',
      'version_conflict',
      'model_rejected',
      'model_not_ready',
      'queue_full',
      'storage_full',
      'database_unavailable',
    ],
  })
  async validate(
    @Caller() caller: Principal,
    @Param('name') name: string,
    @Param('version') version: string,
    @Body() body: ReasonBody,
    @Recorded() record: RecordChange,
    @Waiting() call: LongCall,
    @Res({ passthrough: true }) response: Response,
  ): Promise<unknown> {
    return send(await this.registrations.validate({ caller, record, call }, { name, version }, body), response);
  }

  @Post(':name/versions/:version/approve')
  @Endpoint({
    summary: 'Approve a version',
    description:
      'It is `approved` once as many persons stood up for it as the policy of its model asks for, none of them who registered it; one at least. ' +
      'An approval ends when the version is archived, or validated again with other results.',
    access: 'models:promote',
    action: 'model.approve',
    model: 'name',
    body: 'json',
    request: { reason: 'reviewed by the model risk board' },
    answer: 'ModelVersion',
    errors: [
      'policy_forbidden',
      'model_not_found',
      'version_not_found',
      'version_not_servable',
      'database_unavailable',
    ],
  })
  async approve(
    @Caller() caller: Principal,
    @Param('name') model: string,
    @Param('version') version: string,
    @Body() body: ReasonBody,
    @Recorded() record: RecordChange,
  ): Promise<Record<string, unknown>> {
    return toVersionView(await this.registry.approve(caller.actor, { model, version, ...body }, record));
  }

  @Post(':name/versions/:version/archive')
  @Endpoint({
    summary: 'Take a version out of use',
    access: 'models:promote',
    action: 'model.archive',
    model: 'name',
    body: 'json',
    request: { reason: 'replaced by 1.3.0' },
    answer: 'ModelVersion',
    errors: ['model_not_found', 'version_not_found', 'in_use', 'database_unavailable'],
  })
  async archive(
    @Caller() caller: Principal,
    @Param('name') model: string,
    @Param('version') version: string,
    @Body() body: ReasonBody,
    @Recorded() record: RecordChange,
  ): Promise<Record<string, unknown>> {
    return toVersionView(await this.registry.archive(caller.actor, { model, version, ...body }, record));
  }
}
