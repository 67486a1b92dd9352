import { randomFillSync } from 'node:crypto';
import type { Clock } from './clock';

/** Makes ids. Injected, so that tests are exact. */
export abstract class IdSource {
  abstract next(): string;
}

const POOL_BYTES = 8 * 512;
const DIGITS_EACH = 16;
const VARIANT = ['8', '9', 'a', 'b'];

/**
 * UUIDv7 (RFC 9562 §5.7): 48 bits of Unix milliseconds, then a counter of 12 bits that makes ids of one
 * millisecond ascend (§6.2, method 1), then 62 random bits. Random digits come from a pool: one system call for 512 ids,
 * and the text of the millisecond is kept while it lasts, because ids come many to a millisecond.
 */
export class UuidV7Source extends IdSource {
  private readonly pool = Buffer.alloc(POOL_BYTES);
  private digits = '';
  private at = 0;
  private lastMs = 0;
  private prefix = '';
  private counter = 0;

  constructor(private readonly clock: Clock) {
    super();
  }

  next(): string {
    const now = this.clock.now();
    if (now > this.lastMs) this.turnTo(now);
    else if (++this.counter > 0xfff) this.turnTo(this.lastMs + 1);
    if (this.at >= this.digits.length) this.refill();
    const { digits, at, counter } = this;
    this.at = at + DIGITS_EACH;
    const variant = VARIANT[digits.charCodeAt(at) & 3] ?? '8';
    const sequence =
      counter < 0x10
        ? `00${counter.toString(16)}`
        : counter < 0x100
          ? `0${counter.toString(16)}`
          : counter.toString(16);
    return `${this.prefix}${sequence}-${variant}${digits.slice(at + 1, at + 4)}-${digits.slice(at + 4, at + 16)}`;
  }

  private turnTo(ms: number): void {
    this.lastMs = ms;
    this.counter = 0;
    const time = ms.toString(16).padStart(12, '0');
    this.prefix = `${time.slice(0, 8)}-${time.slice(8)}-7`;
  }

  private refill(): void {
    randomFillSync(this.pool);
    this.digits = this.pool.toString('hex');
    this.at = 0;
  }
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** Whether `text` is a UUID in lower case, as this system writes them. */
export function isUuid(text: string): boolean {
  return UUID.test(text);
}
