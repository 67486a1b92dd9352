import { DomainError, type Clock } from '@sibyl/kernel';
import type { PayloadDigest } from '@sibyl/prediction';
import type { HttpOptions } from '../http/http-options';
import { withoutMark } from '../http/json-text';
import { parseLongJson } from '../http/long-json';
import type { Exchange } from './exchange';
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
  /** Bytes of bodies that wait or are read, of calls of many rows until they are answered; and of those that are read. */
  private held = 0;
  private reading = 0;
  private readonly waiting: Seat[] = [];

  constructor(private readonly parts: LongBodyParts) {}

  /** A place for the body of an exchange; whoever takes it gives it back with `leave`. Throws queue_full. */
  take(exchange: Exchange): Seat {
    const bytes = exchange.body?.length ?? 0;
    const most = this.parts.options.longBodiesBytes;
    if (this.held > 0 && this.held + bytes > most) {
      throw new DomainError('queue_full', 'Too many large requests are being answered.', { retryAfterSeconds: 1 });
    }
    this.held += bytes;
    exchange.call.long = true;
    return new Seat(bytes, exchange, this);
  }

  leave(seat: Seat): void {
    this.held -= seat.bytes;
  }

  /** The value of the body, once `use` has taken from it what it wants; its digest is noted, and the body itself let go. */
  async read(seat: Seat, use: WithBody): Promise<unknown> {
    const { digest, clock, options, http } = this.parts;
    const { exchange } = seat;
    const { call } = exchange;
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

/** The place of one body. */
class Seat {
  begin: () => void = () => undefined;
  /** The deadline has passed before the body was read. */
  expired = false;

  constructor(
    readonly bytes: number,
    readonly exchange: Exchange,
    private readonly bodies: LongBodies,
  ) {}

  leave(): void {
    this.bodies.leave(this);
  }

  read(use: WithBody): Promise<unknown> {
    return this.bodies.read(this, use);
  }

  expire(): void {
    this.expired = true;
    this.exchange.call.abort();
  }
}
