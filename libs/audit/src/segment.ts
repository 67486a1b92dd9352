import { crc32 } from 'node:zlib';

/*
 * offset  bytes
 *      0      8  magic
 *      8      4  CRC-32 of the rest, seeded by the chain
 *     12      4  number of the segment
 *     16      6  number of its first event
 *     24      6  where the frames of the segment before end
 */
const MAGIC = Buffer.from('SIBYLSG1', 'latin1');
export const SEGMENT_HEADER_BYTES = 64;
const CRC_FROM = 12;

/**
 * The head of a segment file. `previousEnd` settles what a failed write may have left behind: frames of the segment
 * before that begin there or later were never acknowledged.
 */
export interface SegmentHeader {
  readonly number: number;
  readonly firstSeq: number;
  readonly previousEnd: number;
}

export function encodeSegmentHeader(chain: string, header: SegmentHeader): Buffer {
  const bytes = Buffer.alloc(SEGMENT_HEADER_BYTES);
  MAGIC.copy(bytes, 0);
  bytes.writeUInt32LE(header.number, 12);
  bytes.writeUIntLE(header.firstSeq, 16, 6);
  bytes.writeUIntLE(header.previousEnd, 24, 6);
  bytes.writeUInt32LE(crc32(bytes.subarray(CRC_FROM), crc32(chain)), 8);
  return bytes;
}

/** Undefined where the segment was prepared but never begun, or is a reused one with the head of its former life. */
export function decodeSegmentHeader(chain: string, number: number, bytes: Buffer): SegmentHeader | undefined {
  if (bytes.length < SEGMENT_HEADER_BYTES || MAGIC.compare(bytes, 0, MAGIC.length) !== 0) return undefined;
  const rest = bytes.subarray(CRC_FROM, SEGMENT_HEADER_BYTES);
  if (crc32(rest, crc32(chain)) !== bytes.readUInt32LE(8)) return undefined;
  const header = {
    number: bytes.readUInt32LE(12),
    firstSeq: bytes.readUIntLE(16, 6),
    previousEnd: bytes.readUIntLE(24, 6),
  };
  return header.number === number ? header : undefined;
}

export function segmentName(number: number): string {
  return `${String(number).padStart(6, '0')}.seg`;
}

/** The number in a file name, or undefined for other files. */
export function segmentNumber(name: string): number | undefined {
  const match = /^(\d{6,9})\.seg$/.exec(name);
  return match ? Number(match[1]) : undefined;
}
