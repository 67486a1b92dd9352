import { Controller, Get, Param, Query } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { Principal } from '@sibyl/auth';
import { ModelRegistry } from '@sibyl/registry';
import { Caller } from '../http/caller.decorator';
import { both, Endpoint } from '../http/endpoint.decorator';
import { ModelLookup } from './model-lookup';
import { ModelListQuery, VersionQuery } from './model.dto';
import { toModelHealthView, toModelInfoView, toModelListView, toVersionsView } from './model.view';
import { Serving } from './serving';

@ApiTags('Models')
@Controller()
export class ModelsController {
  constructor(
    private readonly lookup: ModelLookup,
    private readonly registry: ModelRegistry,
    private readonly serving: Serving,
  ) {}

  @Get(both('/models'))
  @Endpoint({
    summary: 'List models, one row a version',
    access: 'models:read',
    action: 'model.list',
    answer: 'ModelList',
    errors: ['invalid_parameter', 'unknown_field', 'database_unavailable'],
  })
  async list(@Caller() caller: Principal, @Query() query: ModelListQuery): Promise<Record<string, unknown>> {
    return toModelListView(await this.lookup.list(caller, query), (version) => this.lookup.isLoaded(version));
  }

  @Get(both('/models/:name/versions'))
  @Endpoint({
    summary: 'List the versions of a model',
    access: 'models:read',
    action: 'model.list',
    model: 'name',
    answer: 'VersionList',
    errors: ['model_not_found', 'database_unavailable'],
  })
  async versions(@Param('name') name: string): Promise<Record<string, unknown>> {
    return toVersionsView(name, await this.registry.catalog.versions(name));
  }

  @Get(both('/models/:name/info'))
  @Endpoint({
    summary: 'Show signature, manifest and placement of a model',
    access: 'models:read',
    action: 'model.read',
    model: 'name',
    answer: 'ModelDescription',
    errors: ['model_not_found', 'version_not_found', 'invalid_parameter', 'unknown_field', 'database_unavailable'],
  })
  async info(@Param('name') name: string, @Query() query: VersionQuery): Promise<Record<string, unknown>> {
    const version = await this.lookup.find(name, query.version);
    return toModelInfoView(version, this.serving.status(version.model, version.version));
  }

  @Get(both('/models/:name/health'))
  @Endpoint({
    summary: 'Show whether a model is ready, how fast it is and when it was last used',
    access: 'models:read',
    action: 'model.read',
    model: 'name',
    answer: 'ModelHealth',
    errors: ['model_not_found', 'version_not_found', 'invalid_parameter', 'unknown_field', 'database_unavailable'],
  })
  async health(@Param('name') name: string, @Query() query: VersionQuery): Promise<Record<string, unknown>> {
    const version = await this.lookup.find(name, query.version);
    return toModelHealthView(version, this.serving.status(version.model, version.version));
  }
}
