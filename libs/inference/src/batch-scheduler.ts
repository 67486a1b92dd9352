/** Hot path. See docs/paths/predict.md. */
import { DomainError, type Clock } from '@sibyl/kernel';
import { FrameTooLargeError } from '@sibyl/protocol';
import { Batch, type BatchListener } from './batch';
import type { InferenceLog } from './inference-log';
import type { InferenceObserver } from './inference-observer';
import type { Runner } from './runner';
import type { ServedVersion } from './served-version';
import type { WaitingRequest } from './version-queue';

/** Turns of the event loop that a batch gathers at most; a turn takes ten microseconds when nothing happens in it. */
const GATHER_TURNS = 16;
/** Turns without a new request after which a batch of several begins. */
const QUIET_TURNS = 2;

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
  private gathering = false;
  private arrived = 0;
  private turns = 0;
  private quietTurns = 0;
  private readonly turn = (): void => this.endTurn();

  constructor(
    private readonly places: Iterable<RunnerPlace>,
    private readonly clock: Clock,
    private readonly observer: InferenceObserver,
    private readonly log: InferenceLog,
  ) {}

  now(): number {
    return this.clock.monotonic();
  }

  /** A request of this version waits. */
  wake(version: ServedVersion): void {
    this.enter(version);
    this.arrived++;
    if (!this.gathering && this.anyIdle()) this.gather();
  }

  /** A runner has nothing to do. */
  idle(): void {
    if (!this.gathering && this.ring.length > 0) this.gather();
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
  private feed(runner: Runner): void {
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

  onAgain(version: ServedVersion, part: WaitingRequest[]): void {
    const refusal = version.refusalOfRepeats();
    if (refusal !== undefined) {
      for (const entry of part) entry.fail(refusal);
      return;
    }
    version.queue.addAgain(part);
    this.wake(version);
  }

  onBlamed(version: ServedVersion): void {
    version.blame();
  }

  onNotBatchable(version: ServedVersion): void {
    this.log.warn({ key: version.key }, 'the answer has not one row for each row asked: not batched any more');
  }

  /**
   * Requests that were sent together are read in a few turns of the event loop. A batch begins when a turn has brought no
   * new one: a single request waits for one empty turn, some microseconds, and never for a timer.
   */
  private gather(): void {
    this.gathering = true;
    this.arrived = 0;
    this.turns = 0;
    this.quietTurns = 0;
    setImmediate(this.turn);
  }

  private endTurn(): void {
    this.turns++;
    this.quietTurns = this.arrived > 0 ? 0 : this.quietTurns + 1;
    this.arrived = 0;
    if (this.quietTurns <= this.patience() && this.turns < GATHER_TURNS) {
      setImmediate(this.turn);
      return;
    }
    this.gathering = false;
    this.pump();
  }

  /** How many turns may bring nothing: none for a request that is alone. */
  private patience(): number {
    return this.ring.length > 1 || (this.ring[0]?.queue.depth ?? 0) > 1 ? QUIET_TURNS : 0;
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
      for (const entry of batch.entries) this.onAgain(batch.version, [entry]);
    } else if (error instanceof FrameTooLargeError) {
      batch.refuse(new DomainError('batch_too_large', 'The inputs are larger than the limit.', { cause: error }));
    } else if (error instanceof DomainError) {
      batch.refuse(error);
    } else {
      batch.refuse(new DomainError('internal_error', 'Something went wrong inside.', { cause: error }));
    }
  }
}
