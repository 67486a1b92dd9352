/** Hot path. One write of the spool: the events that were waiting, and their payloads sealed together. */
import { crc32 } from 'node:zlib';
import type { Payload } from './bounded-payload';
import { IV_BYTES, KEY_ID_BYTES, TAG_BYTES, type PayloadCipher } from './payload-cipher';

/*
 * offset  bytes
 *      0      4  magic; its first byte never occurs in the ASCII of events
 *      4      4  bytes of the whole frame
 *      8      4  CRC-32 of everything after it, seeded by chain and segment
 *     12      4  events
 *     16      4  bytes of the events' region: per event 4 bytes of length, then the body
 *     20      4  bytes of ciphertext
 *     24      6  number of the first event
 *     30      2  zero
 *     32      8  key id
 *     40     12  IV
 *     52     16  tag
 *     68         events' region, then ciphertext
 */
const MAGIC = Buffer.from([0xf5, 0x53, 0x42, 0x01]);
export const FRAME_HEADER_BYTES = 68;
const CRC_FROM = 12;
const LENGTH_BYTES = 4;
const PAYLOAD_HEAD_BYTES = 8;
/** A buffer grown by one large frame is let go after it. */
const KEPT_BYTES = 4 * 1024 * 1024;
const FIRST_BYTES = 64 * 1024;

/** Stale bytes of another chain or of a reused segment must not pass for a frame of this one. */
export function frameSeed(chain: string, segment: number): number {
  return crc32(`${chain}/${segment}`);
}

/** A frame being filled. Commits write straight into its buffers, so that closing it costs one checksum. */
export class OpenFrame {
  count = 0;
  firstSeq = 0;
  /** Whether one of its events must be on stable storage before anybody is told, whatever the mode. */
  strict = false;
  private events: Buffer = Buffer.allocUnsafeSlow(FIRST_BYTES);
  private payloads: Buffer = Buffer.allocUnsafeSlow(FIRST_BYTES);
  private eventsEnd = FRAME_HEADER_BYTES;
  private payloadsEnd = 0;

  /** Bytes that the frame will take on disk. */
  get bytes(): number {
    return this.eventsEnd + this.payloadsEnd;
  }

  /** `body` must be ASCII. */
  add(seq: number, body: string, payload: Payload | undefined): void {
    if (this.count === 0) this.firstSeq = seq;
    const length = body.length;
    const at = this.eventsEnd;
    if (at + LENGTH_BYTES + length > this.events.length) this.events = grown(this.events, at, LENGTH_BYTES + length);
    this.events.writeUInt32LE(length, at);
    this.events.write(body, at + LENGTH_BYTES, length, 'latin1');
    this.eventsEnd = at + LENGTH_BYTES + length;
    if (payload !== undefined) this.addPayload(payload);
    this.count++;
  }

  /** Puts header and ciphertext in place and answers the bytes to write; they are valid until the next `reset`. */
  close(cipher: PayloadCipher, seed: number): Buffer {
    const eventBytes = this.eventsEnd - FRAME_HEADER_BYTES;
    this.events.fill(0, 0, FRAME_HEADER_BYTES);
    if (this.payloadsEnd > 0) {
      const sealed = cipher.seal(this.payloads.subarray(0, this.payloadsEnd), this.firstSeq, this.count);
      if (this.bytes > this.events.length) this.events = grown(this.events, this.eventsEnd, this.payloadsEnd);
      sealed.ciphertext.copy(this.events, this.eventsEnd);
      this.events.set(cipher.keyId, 32);
      this.events.set(sealed.iv, 40);
      this.events.set(sealed.tag, 52);
    }
    const frame = this.events.subarray(0, this.bytes);
    MAGIC.copy(frame, 0);
    frame.writeUInt32LE(frame.length, 4);
    frame.writeUInt32LE(this.count, 12);
    frame.writeUInt32LE(eventBytes, 16);
    frame.writeUInt32LE(this.payloadsEnd, 20);
    frame.writeUIntLE(this.firstSeq, 24, 6);
    frame.writeUInt32LE(crc32(frame.subarray(CRC_FROM), seed), 8);
    return frame;
  }

  reset(): void {
    this.count = 0;
    this.strict = false;
    this.eventsEnd = FRAME_HEADER_BYTES;
    this.payloadsEnd = 0;
    if (this.events.length > KEPT_BYTES) this.events = Buffer.allocUnsafeSlow(FIRST_BYTES);
    if (this.payloads.length > KEPT_BYTES) this.payloads = Buffer.allocUnsafeSlow(FIRST_BYTES);
  }

  private addPayload(payload: Payload): void {
    const at = this.payloadsEnd;
    this.reserve(PAYLOAD_HEAD_BYTES);
    this.payloadsEnd = at + PAYLOAD_HEAD_BYTES;
    if (typeof payload === 'string') this.addText(payload);
    else {
      for (const piece of payload) {
        if (typeof piece === 'string') this.addText(piece);
        else this.addBytes(piece);
      }
    }
    this.payloads.writeUInt32LE(this.count, at);
    this.payloads.writeUInt32LE(this.payloadsEnd - at - PAYLOAD_HEAD_BYTES, at + 4);
  }

  private addText(text: string): void {
    // UTF-8 takes at most three bytes for one unit of a JavaScript string.
    this.reserve(3 * text.length);
    this.payloadsEnd += this.payloads.write(text, this.payloadsEnd, 'utf8');
  }

  private addBytes(bytes: Uint8Array): void {
    this.reserve(bytes.length);
    this.payloads.set(bytes, this.payloadsEnd);
    this.payloadsEnd += bytes.length;
  }

  private reserve(more: number): void {
    if (this.payloadsEnd + more > this.payloads.length) {
      this.payloads = grown(this.payloads, this.payloadsEnd, more);
    }
  }
}

function grown(buffer: Buffer, used: number, more: number): Buffer {
  const larger = Buffer.allocUnsafeSlow(Math.max(2 * buffer.length, used + more));
  buffer.copy(larger, 0, 0, used);
  return larger;
}

/** A frame found in a segment; offsets are within the buffer that it was found in. */
export interface Frame {
  readonly bytes: number;
  readonly firstSeq: number;
  readonly count: number;
  readonly eventsAt: number;
  readonly payloadAt: number;
  readonly payloadBytes: number;
  readonly keyId: Buffer;
  readonly iv: Buffer;
  readonly tag: Buffer;
}

/** Bytes of the frame that begins at `at`, or undefined where no frame begins. */
export function frameBytesAt(buffer: Buffer, at: number): number | undefined {
  if (buffer.length - at < FRAME_HEADER_BYTES) return undefined;
  if (MAGIC.compare(buffer, at, at + MAGIC.length) !== 0) return undefined;
  const bytes = buffer.readUInt32LE(at + 4);
  return bytes > FRAME_HEADER_BYTES ? bytes : undefined;
}

/** The whole and undamaged frame at `at`, or undefined: torn, damaged, stale or not there. */
export function readFrame(buffer: Buffer, at: number, seed: number): Frame | undefined {
  const bytes = frameBytesAt(buffer, at);
  if (bytes === undefined || at + bytes > buffer.length) return undefined;
  if (crc32(buffer.subarray(at + CRC_FROM, at + bytes), seed) !== buffer.readUInt32LE(at + 8)) return undefined;
  const eventsAt = at + FRAME_HEADER_BYTES;
  const keyAt = at + 32;
  return {
    bytes,
    firstSeq: buffer.readUIntLE(at + 24, 6),
    count: buffer.readUInt32LE(at + 12),
    eventsAt,
    payloadAt: eventsAt + buffer.readUInt32LE(at + 16),
    payloadBytes: buffer.readUInt32LE(at + 20),
    keyId: buffer.subarray(keyAt, keyAt + KEY_ID_BYTES),
    iv: buffer.subarray(at + 40, at + 40 + IV_BYTES),
    tag: buffer.subarray(at + 52, at + 52 + TAG_BYTES),
  };
}

/** Where the next frame might begin after a damaged one. */
export function findFrame(buffer: Buffer, from: number): number | undefined {
  const at = buffer.indexOf(MAGIC, from);
  return at < 0 ? undefined : at;
}

/** The payload of the event that is `index`-th in its frame, out of the opened payloads of that frame. */
export function payloadOf(plain: Buffer, index: number): string | undefined {
  for (let at = 0; at + PAYLOAD_HEAD_BYTES <= plain.length;) {
    const length = plain.readUInt32LE(at + 4);
    const start = at + PAYLOAD_HEAD_BYTES;
    if (plain.readUInt32LE(at) === index) return plain.toString('utf8', start, start + length);
    at = start + length;
  }
  return undefined;
}
