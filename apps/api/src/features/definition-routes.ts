import { Delete, Get, Injectable, Param, Put, Query, Req } from '@nestjs/common';
import { ApiBody, ApiConsumes } from '@nestjs/swagger';
import type { RecordChange } from '@sibyl/audit';
import type { Principal } from '@sibyl/auth';
import { DefinitionStore, type DefinitionKind } from '@sibyl/features';
import { ANYTHING } from '../docs/schema';
import { Caller } from '../http/caller.decorator';
import { Endpoint, type EndpointFacts } from '../http/endpoint.decorator';
import { Recorded } from '../http/record-change';
import type { ApiRequest } from '../http/request-context';
import { toDefinitionListView, toDefinitionView, toDeletedView, toPublishedView } from './definition.view';
import { Definitions } from './definitions';
import { isDryRun, PublishQuery } from './feature.dto';

/** In what the routes of one kind of definition differ from those of the other. */
interface DefinitionWords {
  /** What publishing says beside what both say. */
  readonly published: string;
  /** Who may still need it. */
  readonly needed: string;
  readonly request: unknown;
}

/** What the routes of a kind are, beside their methods. */
function factsOf(kind: DefinitionKind, { published, needed, request }: DefinitionWords) {
  const resource = [`feature_${kind}`, 'name'] as const;
  const notFound = `feature_${kind}_not_found` as const;
  return {
    list: {
      summary: `List the feature ${kind}s`,
      access: 'features:read',
      action: 'feature.list',
      answer: 'FeatureDefinitionList',
      errors: ['database_unavailable'],
    },
    find: {
      summary: `Show a feature ${kind}`,
      description:
        '`name`, or `name@` and the first 12 or more hexadecimal digits of a hash for any version that was published.',
      access: 'features:read',
      action: 'feature.read',
      resource,
      answer: 'FeatureDefinition',
      errors: [notFound, 'invalid_parameter', 'database_unavailable'],
    },
    publish: {
      summary: `Publish a feature ${kind}`,
      description: `JSON or YAML. The version is known by the hash of what it says, and never changes${published}`,
      access: 'features:write',
      action: 'feature.publish',
      resource,
      body: 'stream',
      request,
      answer: 'PublishedDefinition',
      errors: ['malformed_json', 'json_too_deep', 'invalid_definition', 'database_unavailable'],
    },
    delete: {
      summary: `Delete the name of a feature ${kind}`,
      description: `What was published stays, known by its hash. Refused while ${needed} it.`,
      access: 'features:write',
      action: 'feature.delete',
      resource,
      answer: 'DeletedDefinition',
      errors: [notFound, 'in_use', 'database_unavailable'],
    },
  } as const satisfies Record<string, EndpointFacts>;
}

/** The routes of views, and those of sets: one class for each, with decorators of its own on the same methods. */
export function definitionRoutes(kind: DefinitionKind, words: DefinitionWords) {
  const facts = factsOf(kind, words);

  // Whoever extends it is given what its constructor asks for.
  @Injectable()
  abstract class DefinitionRoutes {
    constructor(
      private readonly definitions: Definitions,
      private readonly store: DefinitionStore,
    ) {}

    @Get()
    @Endpoint(facts.list)
    async list(): Promise<Record<string, unknown>> {
      return toDefinitionListView(await this.store.list(kind));
    }

    @Get(':name')
    @Endpoint(facts.find)
    async find(@Param('name') name: string): Promise<Record<string, unknown>> {
      return toDefinitionView(await this.store.find(kind, name));
    }

    @Put(':name')
    @ApiConsumes('application/json', 'application/yaml')
    @ApiBody({ description: 'docs/formats/feature-definitions.md', schema: ANYTHING })
    @Endpoint(facts.publish)
    async publish(
      @Caller() caller: Principal,
      @Param('name') name: string,
      @Query() query: PublishQuery,
      @Req() request: ApiRequest,
      @Recorded() record: RecordChange,
    ): Promise<Record<string, unknown>> {
      const isDry = isDryRun(query);
      return toPublishedView(await this.definitions.publish(caller, { kind, name, isDry, request }, record), isDry);
    }

    @Delete(':name')
    @Endpoint(facts.delete)
    async delete(
      @Caller() caller: Principal,
      @Param('name') name: string,
      @Recorded() record: RecordChange,
    ): Promise<Record<string, unknown>> {
      return toDeletedView(name, await this.store.delete(caller.actor, kind, name, record));
    }
  }
  return DefinitionRoutes;
}
