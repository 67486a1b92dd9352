/** Hot path. See docs/paths/predict.md. */
import type { Clock } from '@sibyl/kernel';
import { bodyCutOff, tooLarge, tooSlow } from '../http/body';
import type { Exchange } from './exchange';

interface Read {
  readonly exchange: Exchange;
  readonly startedAt: number;
  readonly fail: (error: Error) => void;
}

/** How often slow bodies are looked for. */
const SWEEP_MS = 1_000;

/**
 * Collects the bodies of predict requests up to their limits. Most arrive whole with their headers, so that a timer and
 * listeners for each would cost more than the reading: one sweep looks after all bodies that are under way.
 */
export class BodyReads {
  private readonly reads = new Set<Read>();
  private sweeper: NodeJS.Timeout | undefined;

  constructor(
    private readonly clock: Clock,
    private readonly timeoutMs: number,
  ) {}

  read(exchange: Exchange, limitBytes: number): Promise<Buffer> {
    const { request } = exchange;
    if (Number(request.headers['content-length'] ?? 0) > limitBytes) return Promise.reject(tooLarge(limitBytes));
    return new Promise((resolve, reject) => {
      const read: Read = { exchange, startedAt: this.clock.monotonic(), fail: reject };
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
      exchange.onClosed = () => this.end(read, bodyCutOff());
    });
  }

  private begin(read: Read): void {
    this.reads.add(read);
    this.sweeper ??= setInterval(() => this.sweep(), SWEEP_MS).unref();
  }

  private end(read: Read, error: Error | undefined): void {
    if (!this.reads.delete(read)) return;
    read.exchange.onClosed = undefined;
    if (error !== undefined) read.fail(error);
  }

  private sweep(): void {
    const latest = this.clock.monotonic() - this.timeoutMs;
    for (const read of this.reads) {
      // Reads are kept in the order in which they began.
      if (read.startedAt > latest) return;
      this.end(read, tooSlow(this.timeoutMs));
    }
  }
}

const EMPTY = Buffer.alloc(0);
