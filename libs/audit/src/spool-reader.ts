import { open, readdir, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { findFrame, FRAME_HEADER_BYTES, frameBytesAt, frameSeed, readFrame } from './frame';
import { decodeSegmentHeader, SEGMENT_HEADER_BYTES, segmentName, segmentNumber, type SegmentHeader } from './segment';
import { addBodies, payloadIn, type BatchLimits, type BatchPayload, type SpoolBatch } from './spool-batch';
import type { DurableEnd } from './spool-writer';

interface Place {
  readonly segment: number;
  readonly offset: number;
}

/** How far a segment may be read; `known` where that end is certain, `living` where it still moves. */
interface Stop {
  readonly offset: number;
  readonly known: boolean;
  readonly living: boolean;
}

interface Segment {
  readonly number: number;
  readonly handle: FileHandle;
  readonly seed: number;
  /** Where its frames end, once a later segment says so. */
  end: number | undefined;
}

/**
 * Reads the frames of a chain in order: those of a living writer up to its durable end, those of a dead one up to where
 * they end. Damage inside what was acknowledged is never passed over in silence: it is counted in `damages`.
 */
export class SpoolReader {
  damages = 0;
  private place: Place | undefined;
  private segment: Segment | undefined;
  private exhausted = false;
  /** Used for every batch: a new megabyte for each would cost more in garbage collection than all the rest. */
  private buffer = Buffer.alloc(0);

  constructor(
    private readonly folder: string,
    private readonly chain: string,
    /** The end of a chain that is still written; without it the chain is dead and read to its end. */
    private readonly end?: () => DurableEnd,
  ) {}

  get isLive(): boolean {
    return this.end !== undefined;
  }

  /** Whether a living chain has events after number `seq`. */
  endsAfter(seq: number): boolean {
    return (this.end?.().seq ?? 0) > seq;
  }

  /** Whether a dead chain was read to its end. */
  get done(): boolean {
    return this.exhausted;
  }

  /** The segment that is being read; those before are done with. */
  get segmentNumber(): number {
    return this.place?.segment ?? 0;
  }

  /** The next events after number `after`, or undefined while there are none. Good until the next call. */
  async next(after: number, limits: BatchLimits): Promise<SpoolBatch | undefined> {
    for (;;) {
      const segment = await this.current();
      if (!segment || !this.place) return undefined;
      const stop = await this.stopOf(segment);
      const from = this.place.offset;
      const chunk = stop.offset <= from ? undefined : await this.read(segment, from, stop.offset, limits.bytes);
      const batch = chunk ? this.collect(chunk, segment, after, limits) : undefined;
      if (batch && batch.offsets.length > 0) return batch;
      if (batch) continue;
      if (chunk && (await this.passDamage(segment, from, stop))) continue;
      if (stop.living || !(await this.leave(segment))) return undefined;
    }
  }

  async close(): Promise<void> {
    await this.segment?.handle.close();
    this.segment = undefined;
  }

  /** Starts again from the first segment; for a reader whose batch turned out to be in PostgreSQL already. */
  async rewind(): Promise<void> {
    await this.close();
    this.place = undefined;
    this.exhausted = false;
  }

  private async stopOf(segment: Segment): Promise<Stop> {
    const live = this.end?.();
    if (live?.segment === segment.number) return { offset: live.offset, known: true, living: true };
    // Frames behind the end that the next segment tells of were never acknowledged.
    if (segment.end === undefined) {
      const following = await this.followingHeader(segment.number);
      if (following?.number === segment.number + 1) segment.end = following.previousEnd;
    }
    if (segment.end !== undefined) return { offset: segment.end, known: true, living: false };
    const { size } = await segment.handle.stat();
    return { offset: size, known: false, living: false };
  }

  private async current(): Promise<Segment | undefined> {
    if (this.exhausted) return undefined;
    if (this.segment) return this.segment;
    let opened = this.place && (await this.openSegment(this.place.segment));
    if (!opened) {
      // Another process may have shipped and removed it: what is left is read again, and skipped where it arrived.
      this.place = undefined;
      const first = await this.firstSegment();
      opened = first === undefined ? undefined : await this.openSegment(first);
    }
    if (!opened) {
      if (!this.end) this.exhausted = true;
      return undefined;
    }
    this.place ??= { segment: opened.number, offset: SEGMENT_HEADER_BYTES };
    this.segment = opened;
    return opened;
  }

  private async firstSegment(): Promise<number | undefined> {
    for (const number of await segmentNumbers(this.folder)) {
      if (await this.header(number)) return number;
    }
    return undefined;
  }

  private async openSegment(number: number): Promise<Segment | undefined> {
    if (!(await this.header(number))) return undefined;
    const handle = await open(path.join(this.folder, segmentName(number)), 'r');
    return { number, handle, seed: frameSeed(this.chain, number), end: undefined };
  }

  private async header(number: number): Promise<SegmentHeader | undefined> {
    let handle: FileHandle;
    try {
      handle = await open(path.join(this.folder, segmentName(number)), 'r');
    } catch {
      return undefined;
    }
    try {
      const bytes = Buffer.alloc(SEGMENT_HEADER_BYTES);
      const { bytesRead } = await handle.read(bytes, 0, bytes.length, 0);
      return decodeSegmentHeader(this.chain, number, bytes.subarray(0, bytesRead));
    } finally {
      await handle.close();
    }
  }

  /** At least one whole frame where there is one, up to about `most` bytes. */
  private async read(segment: Segment, from: number, stop: number, most: number): Promise<Buffer> {
    const wanted = Math.min(stop - from, Math.max(most, FRAME_HEADER_BYTES));
    if (this.buffer.length < wanted) this.buffer = Buffer.allocUnsafeSlow(wanted);
    const chunk = await readAt(segment.handle, from, this.buffer.subarray(0, wanted));
    const first = frameBytesAt(chunk, 0);
    if (first === undefined || first <= chunk.length || first > stop - from) return chunk;
    return readAt(segment.handle, from, Buffer.allocUnsafeSlow(first));
  }

  private collect(chunk: Buffer, segment: Segment, after: number, limits: BatchLimits): SpoolBatch | undefined {
    const offsets: number[] = [];
    const lengths: number[] = [];
    const payloads: BatchPayload[] = [];
    let firstSeq = 0;
    let at = 0;
    for (let frame = readFrame(chunk, at, segment.seed); frame; frame = readFrame(chunk, at, segment.seed)) {
      const lastSeq = frame.firstSeq + frame.count - 1;
      if (lastSeq > after) {
        const from = Math.max(frame.firstSeq, after + 1);
        // A gap ends the batch: it begins the next one, where the shipper sees it.
        if (offsets.length > 0 && from !== firstSeq + offsets.length) break;
        if (offsets.length === 0) firstSeq = from;
        if (from === frame.firstSeq && frame.payloadBytes > 0) payloads.push(payloadIn(frame));
        const room = limits.events - offsets.length;
        const taken = addBodies(chunk, frame, { from, most: room }, offsets, lengths);
        if (from + taken <= lastSeq) break;
      }
      at += frame.bytes;
      if (offsets.length >= limits.events || at >= limits.bytes) break;
    }
    if (at === 0 && offsets.length === 0) return undefined;
    this.place = { segment: segment.number, offset: (this.place?.offset ?? SEGMENT_HEADER_BYTES) + at };
    return { chunk, firstSeq, offsets, lengths, payloads };
  }

  /** No frame at `from`. The torn end of a dead chain is no damage; lost frames before others, or before a known end, are. */
  private async passDamage(segment: Segment, from: number, stop: Stop): Promise<boolean> {
    const found = await this.findAfterDamage(segment, from, stop.offset);
    if (found === undefined && !stop.known) return false;
    this.damages++;
    this.place = { segment: segment.number, offset: found ?? stop.offset };
    return true;
  }

  private async leave(segment: Segment): Promise<boolean> {
    await segment.handle.close();
    this.segment = undefined;
    const following = await this.followingHeader(segment.number);
    if (!following) {
      this.exhausted = true;
      return false;
    }
    this.place = { segment: following.number, offset: SEGMENT_HEADER_BYTES };
    return true;
  }

  private async followingHeader(number: number): Promise<SegmentHeader | undefined> {
    for (const candidate of await segmentNumbers(this.folder)) {
      if (candidate <= number) continue;
      const header = await this.header(candidate);
      if (header) return header;
    }
    return undefined;
  }

  private async findAfterDamage(segment: Segment, from: number, stop: number): Promise<number | undefined> {
    const rest = await readAt(segment.handle, from, Buffer.allocUnsafeSlow(stop - from));
    for (let at = findFrame(rest, 1); at !== undefined; at = findFrame(rest, at + 1)) {
      if (readFrame(rest, at, segment.seed)) return from + at;
    }
    return undefined;
  }
}

/** Numbers of the segment files in a folder, ascending. */
export async function segmentNumbers(folder: string): Promise<number[]> {
  const numbers: number[] = [];
  for (const name of await readdir(folder)) {
    const number = segmentNumber(name);
    if (number !== undefined) numbers.push(number);
  }
  return numbers.sort((a, b) => a - b);
}

async function readAt(handle: FileHandle, from: number, buffer: Buffer): Promise<Buffer> {
  let filled = 0;
  while (filled < buffer.length) {
    const { bytesRead } = await handle.read(buffer, filled, buffer.length - filled, from + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return buffer.subarray(0, filled);
}
