/** Hot path. See docs/paths/predict.md. */
import { DomainError, type Clock } from '@sibyl/kernel';
import { FrameTooLargeError } from '@sibyl/protocol';
import { ActiveFlows, Work } from './active-flows';
import { Batch, type BatchListener } from './batch';
import type { InferenceLog } from './inference-log';
import type { InferenceObserver } from './inference-observer';
import type { Runner } from './runner';
import type { ServedVersion, VersionFlow } from './served-version';
import type { WaitingRequest } from './version-queue';

/** Turns of the event loop that a batch gathers at most; a turn takes ten microseconds when nothing happens in it. */
const GATHER_TURNS = 16;
/** Turns without a new request after which a batch of several begins. */
const QUIET_TURNS = 2;
/** While callers come in droves a turn takes milliseconds, in which a runner would do nothing: a batch that is full does not wait
 * for one then, until the long turn has faded from memory. */
const LONG_TURN_MS = 1;
const FADING = 0.8;
/** However many share a runner: below it a batch is little but its fixed part. */
const LEAST_BUDGET_MS = 1;
/** What takes less than this together is not spread over several runners: each costs a wake-up. */
const SPREAD_MS = 0.5;
/** Of a version that gains nothing by it, one batch in so many has several requests all the same, to see whether it does now. */
const EXPLORE_EVERY = 64;

/** A place for a runner, as the scheduler sees it. */
export interface RunnerPlace {
  /** Its runner, if that has nothing to do and may take batches. */
  readonly idleRunner: Runner | undefined;
}

/**
 * Gives work to runners: whatever waits for a version when a runner falls idle is the next batch, as far as it can run in the
 * time that one batch may take. Versions share the time of the runners evenly, so that one that is flooded does not starve the
 * others. There is no lingering: while a batch runs, the next one gathers by itself.
 */
export class BatchScheduler implements BatchListener {
  batches = 0;
  private readonly active = new ActiveFlows();
  private readonly limits = { batchable: true, maxRows: 1 };
  private gathering = false;
  private arrived = 0;
  private turns = 0;
  private quietTurns = 0;
  private gatherSince = 0;
  /** What the last first turn of a gathering took. */
  private turnMs = 0;
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

  /** A request of this flow waits. */
  wake(flow: VersionFlow): void {
    this.active.add(flow);
    this.arrived++;
    if (!this.gathering && this.idlePlaces(flow) > 0) this.gather();
  }

  /** A runner has nothing to do. */
  idle(): void {
    if (this.gathering || this.active.size === 0) return;
    const work = this.work();
    if (work === Work.batch && this.turnMs > LONG_TURN_MS) {
      this.turnMs *= FADING;
      this.pump();
    } else if (work !== Work.none) {
      this.gather();
    }
  }

  /** Gives work to every idle runner. */
  pump(): void {
    for (const place of this.places) {
      if (this.active.size === 0) return;
      const runner = place.idleRunner;
      if (runner !== undefined) this.feed(runner);
    }
  }

  /** Starts the next batch on an idle runner, if there is one for it. */
  private feed(runner: Runner): void {
    for (let flow = this.active.next(runner.sessions); flow; flow = this.active.next(runner.sessions)) {
      if (this.start(flow, runner)) return;
    }
  }

  onEnded(batch: Batch, runMs: number | undefined): void {
    const { flow, version, entries, requests, rows, startedAt, expectedMs } = batch;
    const now = this.clock.monotonic();
    version.running--;
    this.active.ended(flow, now - startedAt - expectedMs);
    flow.ended(rows, now);
    if (runMs === undefined) return;
    this.batches++;
    version.learn(requests, rows, runMs);
    this.observer.onBatch(version.key, rows, startedAt - (entries[0]?.waitsSince ?? startedAt), runMs);
  }

  onAgain(flow: VersionFlow, part: WaitingRequest[]): void {
    const refusal = flow.version.refusalOfRepeats();
    if (refusal !== undefined) {
      for (const entry of part) entry.fail(refusal);
      return;
    }
    flow.queue.addAgain(part);
    this.wake(flow);
  }

  onBlamed(version: ServedVersion): void {
    version.blame();
  }

  onNotBatchable(version: ServedVersion): void {
    version.batchable = false;
    this.log.warn({ key: version.key }, 'the answer has not one row for each row asked: not batched any more');
  }

  /**
   * Requests that were sent together are read in a few turns of the event loop. A batch begins when a turn has brought no
   * new one: a single request waits for one empty turn, some microseconds, and never for a timer.
   */
  private gather(): void {
    this.gathering = true;
    this.gatherSince = this.clock.monotonic();
    this.arrived = 0;
    this.turns = 0;
    this.quietTurns = 0;
    setImmediate(this.turn);
  }

  private endTurn(): void {
    this.turns++;
    if (this.turns === 1) this.turnMs = this.clock.monotonic() - this.gatherSince;
    this.quietTurns = this.arrived > 0 ? 0 : this.quietTurns + 1;
    this.arrived = 0;
    const work = this.work();
    const patience = work === Work.several ? QUIET_TURNS : 0;
    if (work !== Work.batch && this.quietTurns <= patience && this.turns < GATHER_TURNS) {
      setImmediate(this.turn);
      return;
    }
    this.gathering = false;
    this.pump();
  }

  /** The most that waits for an idle runner. */
  private work(): Work {
    let most = Work.none;
    for (const { idleRunner } of this.places) {
      if (idleRunner !== undefined) most = Math.max(most, this.active.look(idleRunner.sessions));
    }
    return most;
  }

  private start(flow: VersionFlow, runner: Runner): boolean {
    const { version } = flow;
    const now = this.clock.monotonic();
    this.limit(flow, now);
    const entries = flow.queue.take(now, this.limits);
    if (entries.length === 0) return false;
    const batch = new Batch(flow, entries, now, this);
    try {
      runner.begin(batch, batch.encode(runner.encoder, runner.nextRequest()));
    } catch (error) {
      this.notEncoded(batch, error);
      return false;
    }
    version.running++;
    this.active.began(flow, batch.expectedMs, now);
    return true;
  }

  /** How much the next batch of a flow may hold. */
  private limit(flow: VersionFlow, now: number): void {
    const { limits } = this;
    const { speed, batchable, batches, loadOptions } = flow.version;
    const { cost, budgetMs } = speed;
    const share = Math.max(budgetMs / this.active.rivals(flow, now), Math.min(budgetMs, LEAST_BUDGET_MS));
    limits.batchable = batchable && (cost.gains || batches % EXPLORE_EVERY === 0);
    limits.maxRows = Math.min(loadOptions.maxBatchRows, cost.rowsWithin(share));
    if (!limits.batchable || flow.queue.depth < 2) return;
    const { rows } = flow.queue;
    if (cost.expect(rows) > SPREAD_MS)
      limits.maxRows = Math.min(limits.maxRows, Math.ceil(rows / Math.max(1, this.idlePlaces(flow))));
  }

  /** Runners that could take a batch of this flow now. */
  private idlePlaces({ version }: VersionFlow): number {
    let count = 0;
    for (const place of this.places) if (place.idleRunner?.sessions.has(version.session) === true) count++;
    return count;
  }

  /** A request that cannot be written as a frame must not cost the others of its batch their answers. */
  private notEncoded(batch: Batch, error: unknown): void {
    if (batch.entries.length > 1) {
      for (const entry of batch.entries) this.onAgain(batch.flow, [entry]);
    } else if (error instanceof FrameTooLargeError) {
      batch.refuse(new DomainError('batch_too_large', 'The inputs are larger than the limit.', { cause: error }));
    } else if (error instanceof DomainError) {
      batch.refuse(error);
    } else {
      batch.refuse(new DomainError('internal_error', 'Something went wrong inside.', { cause: error }));
    }
  }
}
