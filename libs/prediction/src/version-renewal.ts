import { SingleFlight, type Clock, type DomainError } from '@sibyl/kernel';
import type { ModelMemory } from './model-memory';
import type { ServedVersion } from './served-version';
import { notLoaded, type VersionLoader } from './version-loader';

/** What a reload came to for one version. */
export interface ReloadedVersion {
  readonly model: string;
  readonly version: string;
  /** `kept`: it could not be loaded anew, and what served before goes on. */
  readonly outcome: 'reloaded' | 'loaded' | 'kept' | 'failed';
  /** Why it was kept or failed, in words for callers. */
  readonly reason?: string;
}

export interface RenewalParts {
  readonly memory: ModelMemory;
  readonly loader: VersionLoader;
  readonly clock: Clock;
  readonly log: { info(fields: object, message: string): void; warn(fields: object, message: string): void };
}

/** Replaces what serves by the same version, loaded anew from bytes that were checked again, without a moment in between. */
export class VersionRenewal {
  private readonly renewals = new SingleFlight<ReloadedVersion>();

  constructor(private readonly parts: RenewalParts) {}

  /** Never throws: what could not be loaded anew goes on as it is. */
  renew(served: ServedVersion): Promise<ReloadedVersion> {
    const { model, version } = served;
    return this.renewals.run(`${model}@${version}`, async () => {
      try {
        return { model, version, outcome: (await this.replace(served)) ? 'reloaded' : 'kept' };
      } catch (error) {
        const failure = notLoaded(error);
        this.parts.log.warn({ model, version, err: error }, 'model could not be loaded anew: what serves goes on');
        return { model, version, outcome: 'kept', reason: failure.detail };
      }
    });
  }

  /** False where the version has been unloaded meanwhile: then nothing takes its place. */
  private async replace(served: ServedVersion): Promise<boolean> {
    const { memory, loader, clock, log } = this.parts;
    const before = served.loaded;
    if (before === undefined) return false;
    await memory.reserve(served);
    try {
      const fresh = await loader.load(served, true);
      if (served.loaded !== before) {
        await memory.leave(fresh.totalBytes, fresh.unload());
        return false;
      }
      served.loaded = fresh;
      served.loadedAtMs = clock.now();
      served.failure = undefined;
      const { model, version } = served;
      log.info({ model, version, provider: fresh.execution.provider, loadMs: fresh.loadMs }, 'model loaded anew');
      // Its last requests are answered meanwhile; the caller of the reload need not wait for them.
      memory.leave(before.totalBytes, before.unload()).catch((error: unknown) => {
        log.warn({ model, version, err: error }, 'a model that was replaced could not be unloaded');
      });
      return true;
    } finally {
      await memory.settle(served);
    }
  }
}

/** What an ordinary load came to. */
export function afterLoad({ model, version, loaded, failure }: ServedVersion): ReloadedVersion {
  if (loaded !== undefined) return { model, version, outcome: 'loaded' };
  return { model, version, outcome: 'failed', reason: reasonOf(failure) };
}

function reasonOf(failure: DomainError | undefined): string {
  return failure?.detail ?? 'There is no memory for it at present.';
}
