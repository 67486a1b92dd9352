import { DomainError, type Clock } from '@sibyl/kernel';
import type { AuditOptions } from './audit-options';
import type { ChainShipment } from './chain-shipment';
import type { TrailLog } from './trail-log';

export interface ShipperParts {
  readonly clock: Clock;
  readonly log: TrailLog;
  /** A dead chain has arrived completely. */
  readonly onDone: (shipment: ChainShipment) => Promise<void>;
}

/** For the rare event that became durable between the last batch and the end of a run. */
const WAITER_PAUSE_MS = 5;

interface FlushWaiter {
  readonly arrived: () => boolean;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** Ships all chains of this process, one batch in flight at a time; a failure pauses it and never reaches a commit. */
export class Shipper {
  private readonly shipments: ChainShipment[] = [];
  private readonly waiters = new Set<FlushWaiter>();
  private timer: NodeJS.Timeout | undefined;
  private running: Promise<void> | undefined;
  private again = false;
  private stopped = false;
  private retryMs = 0;
  private batches = 0;
  private failure: Error | undefined;

  constructor(
    private readonly parts: ShipperParts,
    private readonly options: AuditOptions,
  ) {}

  get chains(): readonly ChainShipment[] {
    return this.shipments;
  }

  get lastFailure(): Error | undefined {
    return this.failure;
  }

  add(shipment: ChainShipment): void {
    this.shipments.push(shipment);
    this.wake(0);
  }

  drop(shipment: ChainShipment): void {
    const at = this.shipments.indexOf(shipment);
    if (at >= 0) this.shipments.splice(at, 1);
  }

  /** Something new is durable. Cheap: called after every write of the spool. */
  notify(): void {
    if (this.timer === undefined && this.running === undefined) this.wake(this.options.shipDelayMs);
    else this.again = true;
  }

  /**
   * Ships now until `arrived`, for `timeoutMs` at most. A backlog that moves but is too long for that is no failure; a
   * database that takes nothing is `database_unavailable`.
   */
  async flush(arrived: () => boolean, timeoutMs: number): Promise<void> {
    if (arrived()) return;
    const before = this.batches;
    await new Promise<void>((resolve, reject) => {
      const settled = (): void => {
        clearTimeout(timer);
        this.waiters.delete(waiter);
      };
      const waiter: FlushWaiter = {
        arrived,
        resolve: () => {
          settled();
          resolve();
        },
        reject: (error) => {
          settled();
          reject(error);
        },
      };
      const timer = setTimeout(() => {
        if (this.batches > before) waiter.resolve();
        else waiter.reject(new DomainError('database_unavailable', 'The database took too long to answer.'));
      }, timeoutMs);
      this.waiters.add(waiter);
      this.wake(0);
    });
  }

  /** Lets the batch in flight end and ships no more. */
  async stop(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.timer);
    await this.running;
    for (const shipment of this.shipments) await shipment.close();
  }

  private wake(delayMs: number): void {
    if (this.stopped) return;
    if (this.running !== undefined) {
      this.again = true;
      return;
    }
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.timer = undefined;
      this.running = this.run().finally(() => {
        this.running = undefined;
        // Whoever asked after the attempt began is owed one of their own.
        if (this.waiters.size > 0) this.wake(WAITER_PAUSE_MS);
        else if (this.retryMs > 0) this.wake(this.retryMs);
        else if (this.again) this.wake(this.options.shipDelayMs);
      });
    }, delayMs).unref();
  }

  private async run(): Promise<void> {
    const asked = [...this.waiters];
    try {
      let more = true;
      while (more && !this.stopped) {
        this.again = false;
        more = await this.round();
        this.settleWaiters();
      }
      this.recovered();
    } catch (error) {
      this.failed(asError(error), asked);
    }
  }

  /** One batch of every chain, so that a long backlog of a dead process does not hold up what happens now. */
  private async round(): Promise<boolean> {
    let more = false;
    let failure: Error | undefined;
    for (const shipment of [...this.shipments]) {
      try {
        more = (await this.stepOf(shipment)) || more;
      } catch (error) {
        // One chain that the database refuses must not hold up the others; a database that is away is away for all.
        if (error instanceof DomainError) throw error;
        failure ??= asError(error);
      }
    }
    if (failure !== undefined && !more) throw failure;
    return more;
  }

  private async stepOf(shipment: ChainShipment): Promise<boolean> {
    const result = await shipment.step();
    if (result === 'done') {
      await this.parts.onDone(shipment);
      this.drop(shipment);
    }
    if (result === 'idle' || result === 'done') return false;
    this.batches++;
    // A batch ends with its segment, so a small one is no sign that nothing is left.
    this.again ||= shipment.behind;
    return result === 'full' || this.waiters.size > 0;
  }

  private settleWaiters(): void {
    for (const waiter of this.waiters) {
      if (waiter.arrived()) waiter.resolve();
    }
  }

  private recovered(): void {
    if (this.retryMs > 0) this.parts.log.info({}, 'audit events reach the database again');
    this.retryMs = 0;
    this.failure = undefined;
  }

  private failed(error: Error, asked: readonly FlushWaiter[]): void {
    if (this.retryMs === 0)
      this.parts.log.warn({ err: error }, 'audit events stay in the spool: the database does not take them');
    this.failure = error;
    const { shipRetryMs, shipRetryMostMs } = this.options;
    this.retryMs = Math.min(shipRetryMostMs, this.retryMs === 0 ? shipRetryMs : 2 * this.retryMs);
    for (const waiter of asked) waiter.reject(error);
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
