import type { Frame } from './frame';

/** Where a batch ends: it may pass the bytes by one frame, never the events. */
export interface BatchLimits {
  readonly events: number;
  readonly bytes: number;
}

/** Sealed payloads of one frame, lying in the chunk of their batch. */
export interface BatchPayload {
  readonly firstSeq: number;
  readonly lastSeq: number;
  readonly keyId: Buffer;
  readonly iv: Buffer;
  readonly tag: Buffer;
  readonly offset: number;
  readonly length: number;
}

/** Consecutive events of one chain: where each body lies in `chunk`, which holds the bytes of the file untouched. */
export interface SpoolBatch {
  readonly chunk: Buffer;
  readonly firstSeq: number;
  readonly offsets: readonly number[];
  readonly lengths: readonly number[];
  readonly payloads: readonly BatchPayload[];
}

/** Adds where the bodies of a frame lie, from number `part.from` on; answers how many. */
export function addBodies(
  chunk: Buffer,
  frame: Frame,
  part: { readonly from: number; readonly most: number },
  offsets: number[],
  lengths: number[],
): number {
  let at = frame.eventsAt;
  let taken = 0;
  for (let seq = frame.firstSeq; seq < frame.firstSeq + frame.count && taken < part.most; seq++) {
    const length = chunk.readUInt32LE(at);
    if (seq >= part.from) {
      offsets.push(at + 4);
      lengths.push(length);
      taken++;
    }
    at += 4 + length;
  }
  return taken;
}

/** The sealed payloads of a frame. */
export function payloadIn(frame: Frame): BatchPayload {
  return {
    firstSeq: frame.firstSeq,
    lastSeq: frame.firstSeq + frame.count - 1,
    keyId: frame.keyId,
    iv: frame.iv,
    tag: frame.tag,
    offset: frame.payloadAt,
    length: frame.payloadBytes,
  };
}
