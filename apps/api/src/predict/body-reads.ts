/** Hot path. See docs/paths/predict.md. */
import type { Clock } from '@sibyl/kernel';
import { bodyCutOff, tooLarge, tooSlow } from '../http/body';
import type { Exchange } from './exchange';

/** A body on its way. */
class BodyRead {
  slot = NOWHERE;

  constructor(
    private readonly reads: BodyReads,
    readonly exchange: Exchange,
    readonly startedAt: number,
    readonly fail: (error: Error) => void,
  ) {}

  /** The connection closed before the body was complete. */
  cutOff(): void {
    this.reads.end(this, bodyCutOff());
  }
}

const NOWHERE = -1;

/** How often slow bodies are looked for. */
const SWEEP_MS = 1_000;

/**
 * Collects the bodies of predict requests up to their limits. Most arrive whole with their headers, so that a timer and
 * listeners for each would cost more than the reading: one sweep looks after all bodies that are under way.
 */
export class BodyReads {
  // Slots and not a Set: a Set that is filled and emptied all the time leaves old tables behind that keep what was in
  // them, and with it whole requests, until the next major collection.
  private readonly slots: (BodyRead | undefined)[] = [];
  private readonly free: number[] = [];
  private sweeper: NodeJS.Timeout | undefined;

  constructor(
    private readonly clock: Clock,
    private readonly timeoutMs: number,
  ) {}

  read(exchange: Exchange, limitBytes: number): Promise<Buffer> {
    const { request } = exchange;
    if (Number(request.headers['content-length'] ?? 0) > limitBytes) return Promise.reject(tooLarge(limitBytes));
    return new Promise((resolve, reject) => {
      const read = new BodyRead(this, exchange, this.clock.monotonic(), reject);
      this.begin(read);
      let first: Buffer | undefined;
      let rest: Buffer[] | undefined;
      let bytes = 0;
      request.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > limitBytes) this.end(read, tooLarge(limitBytes));
        else if (first === undefined) first = chunk;
        else (rest ??= [first]).push(chunk);
      });
      request.on('end', () => {
        this.end(read, undefined);
        resolve(rest === undefined ? (first ?? EMPTY) : Buffer.concat(rest, bytes));
      });
      // An object with a method: a closure in this place keeps requests alive past minor collections (measured: 6 ms of
      // every 40 ms).
      exchange.reading = read;
    });
  }

  /** Ends a read once; later calls change nothing. */
  end(read: BodyRead, error: Error | undefined): void {
    if (read.slot === NOWHERE) return;
    this.slots[read.slot] = undefined;
    this.free.push(read.slot);
    read.slot = NOWHERE;
    read.exchange.reading = undefined;
    if (error !== undefined) read.fail(error);
  }

  private begin(read: BodyRead): void {
    read.slot = this.free.pop() ?? this.slots.length;
    this.slots[read.slot] = read;
    this.sweeper ??= setInterval(() => this.sweep(), SWEEP_MS).unref();
  }

  private sweep(): void {
    const latest = this.clock.monotonic() - this.timeoutMs;
    for (const read of this.slots)
      if (read !== undefined && read.startedAt <= latest) this.end(read, tooSlow(this.timeoutMs));
  }
}

const EMPTY = Buffer.alloc(0);
