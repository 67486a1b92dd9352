import type { Clock, DomainError } from '@sibyl/kernel';
import type { PredictionOptions } from './prediction-options';
import type { ServedVersion } from './served-version';
import type { ServingSource } from './serving-source';
import { notLoaded } from './version-loader';

export interface RetryParts {
  readonly source: Pick<ServingSource, 'signatureTrust'>;
  readonly clock: Clock;
  readonly options: Pick<PredictionOptions, 'loadRetryMs'>;
  readonly log: { warn(fields: object, message: string): void };
}

/** What refuses a version is looked for at each reading of the registry: so late is only seen what no such look shows. */
const RETRY_MOST_MS = 5 * 60_000;
const DOUBLINGS_MAX = 20;

/** What a version was refused for, and by which keys, policy and facts of the registry. */
interface Refusal {
  readonly times: number;
  readonly grounds: string | undefined;
}

/**
 * When versions that would not load are tried again. What fails by accident is tried again soon. What is refused is refused until
 * keys, policy or registry change: it is tried later and later, and at once when one of them has.
 */
export class LoadRetries {
  private readonly refusals = new WeakMap<ServedVersion, Refusal>();
  private readonly told = new WeakMap<ServedVersion, string>();

  constructor(private readonly parts: RetryParts) {}

  /** Of these, the versions that may be tried now. */
  async due(versions: readonly ServedVersion[]): Promise<ServedVersion[]> {
    const due: ServedVersion[] = [];
    for (const served of versions) if (served.state !== 'loading' && (await this.isDue(served))) due.push(served);
    return due;
  }

  /** To be asked for before a load that may be refused again: what changes while it lasts is then seen to have changed. */
  async grounds(served: ServedVersion): Promise<string | undefined> {
    return this.refusals.has(served) ? this.groundsOf(served) : undefined;
  }

  succeeded(served: ServedVersion): void {
    this.refusals.delete(served);
    this.told.delete(served);
    served.failure = undefined;
  }

  /** What requests are told until the next attempt. The log has it once, until it is another reason. */
  failed(served: ServedVersion, error: unknown, grounds: string | undefined): DomainError {
    const { clock, options, log } = this.parts;
    const failure = notLoaded(error);
    served.failure = failure;
    let waitMs = options.loadRetryMs;
    if (failure.code === 'version_not_servable') {
      const times = this.refusals.get(served)?.times ?? 0;
      waitMs = Math.max(waitMs, Math.min(RETRY_MOST_MS, waitMs * 2 ** Math.min(times, DOUBLINGS_MAX)));
      this.refusals.set(served, { times: times + 1, grounds });
    } else this.refusals.delete(served);
    served.retryAt = clock.monotonic() + waitMs;
    const reason = `${failure.code} ${error instanceof Error ? error.message : failure.detail}`;
    if (this.told.get(served) !== reason)
      log.warn({ model: served.model, version: served.version, err: error }, 'model could not be loaded');
    this.told.set(served, reason);
    return failure;
  }

  private async isDue(served: ServedVersion): Promise<boolean> {
    if (served.retryAt <= this.parts.clock.monotonic()) return true;
    const refusal = this.refusals.get(served);
    // Of the first refusal it is not known what it was by: it is soon tried again anyway.
    if (refusal?.grounds === undefined) return false;
    const grounds = await this.groundsOf(served);
    if (grounds === undefined || grounds === refusal.grounds) return false;
    this.refusals.delete(served);
    served.retryAt = 0;
    return true;
  }

  /** Undefined where that cannot be read at present. */
  private async groundsOf({ facts }: ServedVersion): Promise<string | undefined> {
    const trust = await this.parts.source.signatureTrust(facts).catch(() => undefined);
    return trust === undefined ? undefined : JSON.stringify([facts.revision, facts.aliases, trust]);
  }
}
