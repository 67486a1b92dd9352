import { Controller, Delete, Get, Param, Put, Query, Req } from '@nestjs/common';
import { ApiBody, ApiConsumes, ApiTags } from '@nestjs/swagger';
import type { RecordChange } from '@sibyl/audit';
import type { Principal } from '@sibyl/auth';
import { DefinitionStore } from '@sibyl/features';
import { ANYTHING } from '../docs/schema';
import { Caller } from '../http/caller.decorator';
import { Endpoint } from '../http/endpoint.decorator';
import { Recorded } from '../http/record-change';
import type { ApiRequest } from '../http/request-context';
import { toDefinitionListView, toDefinitionView, toDeletedView, toPublishedView } from './definition.view';
import { Definitions } from './definitions';
import { isDryRun, PublishQuery } from './feature.dto';
import { VIEW_EXAMPLE } from './definition-examples';

@ApiTags('Features')
@Controller('v1/features/views')
export class ViewsController {
  constructor(
    private readonly definitions: Definitions,
    private readonly store: DefinitionStore,
  ) {}

  @Get()
  @Endpoint({
    summary: 'List the feature views',
    access: 'features:read',
    action: 'feature.list',
    answer: 'FeatureDefinitionList',
    errors: ['database_unavailable'],
  })
  async list(): Promise<Record<string, unknown>> {
    return toDefinitionListView(await this.store.list('view'));
  }

  @Get(':name')
  @Endpoint({
    summary: 'Show a feature view',
    description:
      '`name`, or `name@` and the first 12 or more hexadecimal digits of a hash for any version that was published.',
    access: 'features:read',
    action: 'feature.read',
    resource: ['feature_view', 'name'],
    answer: 'FeatureDefinition',
    errors: ['feature_view_not_found', 'invalid_parameter', 'database_unavailable'],
  })
  async find(@Param('name') name: string): Promise<Record<string, unknown>> {
    return toDefinitionView(await this.store.find('view', name));
  }

  @Put(':name')
  @ApiConsumes('application/json', 'application/yaml')
  @ApiBody({ description: 'docs/formats/feature-definitions.md', schema: ANYTHING })
  @Endpoint({
    summary: 'Publish a feature view',
    description:
      'JSON or YAML. The version is known by the hash of what it says, and never changes; the name means it from now on. `?dry_run=true` checks, compares and writes nothing. Streams that have events keep the order and types of their fields; new fields come after them.',
    access: 'features:write',
    action: 'feature.publish',
    resource: ['feature_view', 'name'],
    body: 'stream',
    request: VIEW_EXAMPLE,
    answer: 'PublishedDefinition',
    errors: ['malformed_json', 'json_too_deep', 'invalid_definition', 'database_unavailable'],
  })
  async publish(
    @Caller() caller: Principal,
    @Param('name') name: string,
    @Query() query: PublishQuery,
    @Req() request: ApiRequest,
    @Recorded() record: RecordChange,
  ): Promise<Record<string, unknown>> {
    const isDry = isDryRun(query);
    return toPublishedView(
      await this.definitions.publish(caller, { kind: 'view', name, isDry, request }, record),
      isDry,
    );
  }

  @Delete(':name')
  @Endpoint({
    summary: 'Delete the name of a feature view',
    description: 'What was published stays, known by its hash. Refused while a set or another view needs it.',
    access: 'features:write',
    action: 'feature.delete',
    resource: ['feature_view', 'name'],
    answer: 'DeletedDefinition',
    errors: ['feature_view_not_found', 'in_use', 'database_unavailable'],
  })
  async delete(
    @Caller() caller: Principal,
    @Param('name') name: string,
    @Recorded() record: RecordChange,
  ): Promise<Record<string, unknown>> {
    return toDeletedView(name, await this.store.delete(caller.actor, 'view', name, record));
  }
}
