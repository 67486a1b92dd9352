import type { AuditTrail } from '@sibyl/audit';
import { systemActor, type Actor, type Clock, type IdSource } from '@sibyl/kernel';
import type { ModelRegistry } from '@sibyl/registry';
import type { Logger } from '@sibyl/telemetry';
import { systemRecord } from '../system-record';

export interface SourceParts {
  readonly registry: ModelRegistry;
  readonly trail: AuditTrail;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly log: Logger;
  /** Packages that the operator named. */
  readonly uris: readonly string[];
}

/** Where models come from without being sent: looked at when the server starts and when it is told to reload. */
export class ModelSources {
  constructor(private readonly parts: SourceParts) {}

  /** At the start. */
  register(): Promise<void> {
    return this.take(systemActor('start'));
  }

  /** Later: registers what is new there. What cannot be registered is logged and keeps nothing else from it. */
  check(): Promise<void> {
    return this.take(systemActor('reload'));
  }

  private async take(actor: Actor): Promise<void> {
    const { registry, trail, log, uris } = this.parts;
    const record = systemRecord(trail, actor, this.parts);
    for (const { uri, outcome, error } of await registry.registerAtStart(actor, uris, record)) {
      if (outcome !== 'failed') continue;
      log.error({ uri, err: error }, 'a package of SIBYL_MODELS could not be registered');
    }
  }
}
