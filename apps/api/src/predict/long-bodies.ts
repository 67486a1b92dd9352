import { DomainError, type Clock } from '@sibyl/kernel';
import type { PayloadDigest } from '@sibyl/prediction';
import type { HttpOptions } from '../http/http-options';
import { withoutMark } from '../http/json-text';
import { parseLongJson } from '../http/long-json';
import type { PredictExchange } from './predict-exchange';
import type { PredictOptions } from './predict-options';

/** Larger bodies are read in slices; smaller ones take two milliseconds at most. */
export const LONG_BYTES = 128 * 1024;

export interface LongBodyParts {
  readonly digest: PayloadDigest;
  readonly clock: Clock;
  readonly options: PredictOptions;
  readonly http: HttpOptions;
}

/** Does something with the value of a body while it counts as being read. */
type WithBody = (body: unknown) => Promise<void>;

/**
 * Reads long bodies beside everything else that the server does: in slices, in the order in which they came where they are too
 * large to be read at once, and only so many bytes of them at all.
 */
export class LongBodies {
  /** Bytes of bodies that are to come, wait or are read, of calls of many rows until they are answered; and of those that are read. */
  private held = 0;
  private reading = 0;
  private readonly waiting: Seat[] = [];

  constructor(private readonly parts: LongBodyParts) {}

  /**
   * Counts the body of an exchange with so many bytes, which it announces or which have come of one that does not say how many; whoever
   * does so calls `leave` once it is over. Throws queue_full, and then still counts what it did before.
   */
  hold(exchange: PredictExchange, bytes: number): void {
    if (bytes <= LONG_BYTES) return;
    const others = this.held - exchange.heldBytes;
    if (others > 0 && others + bytes > this.parts.options.longBodiesBytes) {
      throw new DomainError('queue_full', 'Too many large requests are being answered.', { retryAfterSeconds: 1 });
    }
    this.held = others + bytes;
    exchange.heldBytes = bytes;
  }

  /** Does nothing where the exchange holds nothing, any more or at all. */
  leave(exchange: PredictExchange): void {
    this.held -= exchange.heldBytes;
    exchange.heldBytes = 0;
  }

  /** The value of the body, once `use` has taken from it what it wants; its digest is noted, and the body itself let go. */
  async read(exchange: PredictExchange, use: WithBody): Promise<unknown> {
    const { digest, clock, options, http } = this.parts;
    const { call } = exchange;
    const seat = new Seat(exchange);
    call.long = true;
    const deadline = setTimeout(() => seat.expire(), Math.max(0, call.deadlineAt - clock.monotonic())).unref();
    try {
      await this.begin(seat);
      try {
        // Throws where it was given up.
        await call.next();
        const bytes = withoutMark(exchange.body as Buffer);
        const body = await parseLongJson(bytes, http.jsonDepth, call);
        await use(body);
        exchange.inputsDigest = await digest.ofLong([bytes], call);
        exchange.body = bytes.length <= options.recordedBytes ? bytes : undefined;
        return body;
      } finally {
        this.end(seat);
      }
    } catch (error) {
      throw seat.expired ? new DomainError('deadline_exceeded', 'The body was not read before its deadline.') : error;
    } finally {
      clearTimeout(deadline);
    }
  }

  /** Waits until there is room for what reading makes of a body. */
  private async begin(seat: Seat): Promise<void> {
    if (this.waiting.length === 0 && this.fits(seat)) {
      this.reading += seat.bytes;
      return;
    }
    this.waiting.push(seat);
    await new Promise<void>((resolve) => {
      seat.begin = resolve;
      seat.exchange.call.whenAborted = () => this.giveUp(seat);
    });
  }

  /** As much as the largest body at once: what reading makes of it may be larger than itself. */
  private fits(seat: Seat): boolean {
    return this.reading === 0 || this.reading + seat.bytes <= this.parts.options.tensorBodyBytes;
  }

  private giveUp(seat: Seat): void {
    this.waiting.splice(this.waiting.indexOf(seat), 1);
    this.admitSeat(seat);
    this.admit();
  }

  private end(seat: Seat): void {
    this.reading -= seat.bytes;
    this.admit();
  }

  private admit(): void {
    for (let [first] = this.waiting; first !== undefined && this.fits(first); [first] = this.waiting) {
      this.waiting.shift();
      this.admitSeat(first);
    }
  }

  private admitSeat(seat: Seat): void {
    this.reading += seat.bytes;
    seat.exchange.call.whenAborted = undefined;
    seat.begin();
  }
}

/** The place of one body among those that wait or are read. */
class Seat {
  readonly bytes: number;
  begin: () => void = () => undefined;
  /** The deadline has passed before the body was read. */
  expired = false;

  constructor(readonly exchange: PredictExchange) {
    this.bytes = exchange.body?.length ?? 0;
  }

  expire(): void {
    this.expired = true;
    this.exchange.call.abort();
  }
}
