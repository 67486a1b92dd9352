import { DomainError } from '@sibyl/kernel';
import type { ModelReconciler } from '@sibyl/prediction';
import type { ModelRegistry } from '@sibyl/registry';

export interface UntrustedVersion {
  readonly model: string;
  readonly version: string;
}

export interface WatchParts {
  readonly reconciler: Pick<ModelReconciler, 'table'>;
  readonly registry: Pick<ModelRegistry, 'checkSignature' | 'trustedKeyProblems'>;
  readonly log: { warn(fields: object, message: string): void; info(fields: object, message: string): void };
}

/** How soon a key that was taken away, or has expired, is seen to have signed something that serves. */
const LOOK_MS = 60_000;

/**
 * Looks whether what serves would still be loaded: a version whose signer is trusted no more goes on serving, because a key
 * that is taken away must not be an outage, but somebody has to know.
 */
export class SignatureWatch {
  private found = new Map<string, UntrustedVersion>();
  private problems = '';
  private timer: NodeJS.Timeout | undefined;
  private looking = false;

  constructor(private readonly parts: WatchParts) {}

  start(): void {
    void this.look();
    this.timer = setInterval(() => void this.look(), LOOK_MS);
    this.timer.unref();
  }

  stop(): void {
    clearInterval(this.timer);
  }

  /** Loaded versions that would not be loaded again. */
  untrusted(): readonly UntrustedVersion[] {
    return [...this.found.values()];
  }

  /** One look at every loaded version; quick, and never more than one at a time. */
  async look(): Promise<void> {
    if (this.looking) return;
    this.looking = true;
    try {
      await this.lookAtKeys();
      await this.lookAtVersions();
    } catch (error) {
      this.parts.log.warn({ err: error }, 'the signatures of what serves could not be looked at');
    } finally {
      this.looking = false;
    }
  }

  private async lookAtKeys(): Promise<void> {
    const problems = (await this.parts.registry.trustedKeyProblems()).join('; ');
    if (problems !== '' && problems !== this.problems)
      this.parts.log.warn({ reason: problems }, 'of SIBYL_TRUSTED_KEYS something cannot be read and is not trusted');
    this.problems = problems;
  }

  private async lookAtVersions(): Promise<void> {
    const found = new Map<string, UntrustedVersion>();
    const { registry, reconciler, log } = this.parts;
    const all = [...reconciler.table.models.values()].flatMap((model) => [...model.versions.values()]);
    for (const { model, version, facts, loaded } of all) {
      if (loaded === undefined) continue;
      const key = `${model}@${version}`;
      try {
        await registry.checkSignature(facts);
        if (this.found.has(key)) log.info({ model, version }, 'the signature of what serves is trusted again');
      } catch (error) {
        if (!(error instanceof DomainError)) throw error;
        // The database is away: what was known stays known.
        if (error.code !== 'version_not_servable') {
          if (this.found.has(key)) found.set(key, { model, version });
          continue;
        }
        found.set(key, { model, version });
        if (!this.found.has(key))
          log.warn(
            { model, version, err: error },
            'the signature of what serves is trusted no more; it would not load again',
          );
      }
    }
    this.found = found;
  }
}
