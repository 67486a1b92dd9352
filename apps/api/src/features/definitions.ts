import { Injectable } from '@nestjs/common';
import type { RecordChange } from '@sibyl/audit';
import type { Principal } from '@sibyl/auth';
import { DefinitionStore, Lineage, LineageFeed, type DefinitionKind, type Published } from '@sibyl/features';
import { HttpOptions } from '../http/http-options';
import type { ApiRequest } from '../http/request-context';
import { readDefinition } from './definition-documents';

interface PublishRequest {
  readonly kind: DefinitionKind;
  readonly name: string;
  readonly isDry: boolean;
  readonly request: ApiRequest;
}

/** Definitions on their way from a request to the store. */
@Injectable()
export class Definitions {
  constructor(
    private readonly store: DefinitionStore,
    private readonly lineage: Lineage,
    private readonly feed: LineageFeed,
    private readonly options: HttpOptions,
  ) {}

  async publish(caller: Principal, asked: PublishRequest, record: RecordChange): Promise<Published> {
    const { kind, name, isDry, request } = asked;
    // The event of a dry run says that nothing was published, be it refused or not.
    if (isDry) request.context.changes = { dry_run: true };
    const definition = { kind, name, document: await readDefinition(request, this.options) };
    if (isDry) {
      const found = await this.store.preview(definition);
      request.context.changes = { dry_run: true, hash: found.hash, ...(found.unchanged && { unchanged: true }) };
      return found;
    }
    const published = await this.store.publish(caller.actor, definition, record);
    const { hash, unchanged } = published;
    if (!unchanged) this.feed.tell(() => this.lineage.eventOf(kind, name, hash));
    return published;
  }
}
