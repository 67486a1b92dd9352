import { randomFillSync } from 'node:crypto';
import type { Clock } from './clock';

/** Makes ids. Injected, so that tests are exact. */
export abstract class IdSource {
  abstract next(): string;
}

const POOL_BYTES = 10 * 512;
const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

/**
 * UUIDv7 (RFC 9562 §5.7): 48 bits of Unix milliseconds, then a counter of 12 bits that makes ids of one
 * millisecond ascend (§6.2, method 1), then 62 random bits. Random bytes come from a pool: one system call for 512 ids.
 */
export class UuidV7Source extends IdSource {
  private readonly pool = Buffer.alloc(POOL_BYTES);
  private offset = POOL_BYTES;
  private lastMs = 0;
  private counter = 0;

  constructor(private readonly clock: Clock) {
    super();
  }

  next(): string {
    const now = this.clock.now();
    if (now > this.lastMs) {
      this.lastMs = now;
      this.counter = 0;
    } else if (++this.counter > 0xfff) {
      this.lastMs++;
      this.counter = 0;
    }
    if (this.offset + 8 > POOL_BYTES) {
      randomFillSync(this.pool);
      this.offset = 0;
    }
    const r = this.pool;
    const o = this.offset;
    this.offset += 8;
    const time = this.lastMs.toString(16).padStart(12, '0');
    const sequence = (0x7000 | this.counter).toString(16);
    return (
      `${time.slice(0, 8)}-${time.slice(8)}-${sequence}-` +
      `${hex(((r[o] ?? 0) & 0x3f) | 0x80)}${hex(r[o + 1] ?? 0)}-` +
      `${hex(r[o + 2] ?? 0)}${hex(r[o + 3] ?? 0)}${hex(r[o + 4] ?? 0)}${hex(r[o + 5] ?? 0)}${hex(r[o + 6] ?? 0)}${hex(r[o + 7] ?? 0)}`
    );
  }
}

function hex(byte: number): string {
  return HEX[byte] ?? '00';
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** Whether `text` is a UUID in lower case, as this system writes them. */
export function isUuid(text: string): boolean {
  return UUID.test(text);
}
