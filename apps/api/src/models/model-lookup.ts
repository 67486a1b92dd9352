import { Injectable } from '@nestjs/common';
import { allowsModel, type Principal } from '@sibyl/auth';
import { isServable, ModelRegistry, PRODUCTION, type ModelVersion, type Page } from '@sibyl/registry';
import type { ModelListQuery } from './model.dto';
import { Serving } from './serving';

/** Finds versions as callers name them, and no more than they may see. */
@Injectable()
export class ModelLookup {
  constructor(
    private readonly registry: ModelRegistry,
    private readonly serving: Serving,
  ) {}

  /** A page of versions of the models that the caller may read. */
  async list(caller: Principal, query: ModelListQuery): Promise<Page<ModelVersion>> {
    const { name, loaded, limit, cursor } = query;
    const among = this.serving.statuses().filter((status) => status.loaded);
    const page = await this.registry.catalog.list(
      {
        ...(name === undefined ? {} : { model: name }),
        ...(loaded === 'true' ? { among } : {}),
        ...(caller.models === undefined ? {} : { accepts: (model) => allowsModel(caller, 'models:read', model) }),
      },
      { ...(limit === undefined ? {} : { limit }), ...(cursor === undefined ? {} : { cursor }) },
    );
    return loaded === 'false' ? { ...page, items: page.items.filter((version) => !this.isLoaded(version)) } : page;
  }

  isLoaded({ model, version }: ModelVersion): boolean {
    return this.serving.status(model, version)?.loaded ?? false;
  }

  /** The version that a request for this model would meet; where none can serve, the one that arrived last. */
  async find(model: string, version: string | undefined): Promise<ModelVersion> {
    if (version !== undefined) return this.registry.catalog.find(model, version);
    const versions = await this.registry.catalog.versions(model);
    const production = versions.find(({ aliases }) => aliases.includes(PRODUCTION));
    const chosen =
      production ??
      versions.findLast(({ status, report }) => isServable(status) && report?.passed === true) ??
      versions.at(-1);
    return chosen ?? this.registry.catalog.find(model, PRODUCTION);
  }
}
