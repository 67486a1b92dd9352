/** Hot path. See docs/paths/predict.md. */
import { DomainError, type Clock } from '@sibyl/kernel';
import { FrameTooLargeError } from '@sibyl/protocol';
import { Batch, type BatchListener } from './batch';
import type { InferenceLog } from './inference-log';
import type { InferenceObserver } from './inference-observer';
import type { Runner } from './runner';
import type { ServedVersion } from './served-version';
import type { WaitingRequest } from './version-queue';

/** A place for a runner, as the scheduler sees it. */
export interface RunnerPlace {
  /** Its runner, if that has nothing to do and may take batches. */
  readonly idleRunner: Runner | undefined;
}

/**
 * Gives work to runners: whatever waits for a version when a runner falls idle is the next batch. Versions with waiting
 * work take turns, so that one that is flooded does not starve the others. There is no lingering: while a batch runs,
 * the next one gathers by itself.
 */
export class BatchScheduler implements BatchListener {
  batches = 0;
  private readonly ring: ServedVersion[] = [];
  private woken = false;
  private readonly pumpSoon = (): void => {
    this.woken = false;
    this.pump();
  };

  constructor(
    private readonly places: readonly RunnerPlace[],
    private readonly clock: Clock,
    private readonly observer: InferenceObserver,
    private readonly log: InferenceLog,
  ) {}

  now(): number {
    return this.clock.monotonic();
  }

  /** A request of this version waits. All that arrive in one turn of the event loop share a batch. */
  wake(version: ServedVersion): void {
    this.enter(version);
    if (this.woken || !this.anyIdle()) return;
    this.woken = true;
    setImmediate(this.pumpSoon);
  }

  /** Gives work to every idle runner. */
  pump(): void {
    for (const place of this.places) {
      if (this.ring.length === 0) return;
      const runner = place.idleRunner;
      if (runner !== undefined) this.feed(runner);
    }
  }

  /** Starts the next batch on an idle runner, if there is one for it. */
  feed(runner: Runner): void {
    for (let turns = this.ring.length; turns > 0; turns--) {
      const version = this.ring.shift();
      if (version === undefined) return;
      version.queued = false;
      const started = runner.sessions.has(version.session) && this.start(version, runner);
      if (version.queue.depth > 0) this.enter(version);
      if (started) return;
    }
  }

  onEnded(batch: Batch, runMs: number | undefined): void {
    const { version, entries, rows, startedAt } = batch;
    version.running--;
    if (runMs === undefined) return;
    this.batches++;
    version.learn(entries.length, runMs, startedAt + runMs);
    this.observer.onBatch(version.key, rows, startedAt - (entries[0]?.waitsSince ?? startedAt), runMs);
  }

  onAgain(version: ServedVersion, entry: WaitingRequest): void {
    if (version.closed && version.refusal !== undefined) {
      entry.fail(version.refusal);
      return;
    }
    version.queue.addAgain(entry);
    this.wake(version);
  }

  onNotBatchable(version: ServedVersion): void {
    this.log.warn({ key: version.key }, 'the answer has not one row for each row asked: not batched any more');
  }

  private anyIdle(): boolean {
    for (const place of this.places) if (place.idleRunner !== undefined) return true;
    return false;
  }

  private enter(version: ServedVersion): void {
    if (version.queued) return;
    version.queued = true;
    this.ring.push(version);
  }

  private start(version: ServedVersion, runner: Runner): boolean {
    const now = this.clock.monotonic();
    const limits = { batchable: version.batchable, maxRows: version.loadOptions.maxBatchRows };
    const entries = version.queue.take(now, limits);
    if (entries.length === 0) return false;
    const batch = new Batch(version, entries, now, this);
    try {
      runner.begin(batch, batch.encode(runner.encoder, runner.nextRequest()));
    } catch (error) {
      this.notEncoded(batch, error);
      return false;
    }
    version.running++;
    return true;
  }

  /** A request that cannot be written as a frame must not cost the others of its batch their answers. */
  private notEncoded(batch: Batch, error: unknown): void {
    if (batch.entries.length > 1) {
      for (const entry of batch.entries) this.onAgain(batch.version, entry);
    } else if (error instanceof FrameTooLargeError) {
      batch.refuse(new DomainError('batch_too_large', 'The inputs are larger than the limit.', { cause: error }));
    } else if (error instanceof DomainError) {
      batch.refuse(error);
    } else {
      batch.refuse(new DomainError('internal_error', 'Something went wrong inside.', { cause: error }));
    }
  }
}
