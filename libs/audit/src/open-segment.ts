import { frameSeed } from './frame';
import { encodeSegmentHeader, SEGMENT_HEADER_BYTES } from './segment';
import type { SegmentSupply } from './segment-supply';
import type { SegmentFile } from './segment-file';
import type { SpoolDisk } from './spool-disk';
import type { TrailLog } from './trail-log';

/** The segment that frames are written to. */
export interface OpenSegment {
  readonly number: number;
  readonly file: SegmentFile;
  readonly seed: number;
  /** Where the next frame goes. */
  offset: number;
}

interface SegmentSource {
  readonly chain: string;
  readonly supply: SegmentSupply;
  readonly disk: SpoolDisk;
  readonly log: TrailLog;
}

/** Opens the next segment. Its head is durable before anything in it is, so that it can speak about the one before. */
export async function openSegment(
  { chain, supply, disk }: SegmentSource,
  before: { readonly end: number; readonly seq: number },
  paced: boolean,
): Promise<OpenSegment> {
  const number = await supply.prepared(paced);
  const file = disk.open(supply.file(number));
  const header = encodeSegmentHeader(chain, { number, firstSeq: before.seq + 1, previousEnd: before.end });
  try {
    await new Promise<void>((resolve, reject) => {
      file.write(header, 0, true, (error) => (error ? reject(error) : resolve()));
    });
  } catch (error) {
    await file.close().catch(() => undefined);
    throw error;
  }
  supply.taken();
  return { number, file, seed: frameSeed(chain, number), offset: SEGMENT_HEADER_BYTES };
}

/** Has the segment after it made in time. */
export function prepareNext({ supply, log }: SegmentSource): void {
  supply.prepared(true).catch((error: unknown) => {
    // Not yet a failure: the present segment still takes events, and the switch tries again.
    log.warn({ err: error }, 'the next segment of the audit spool could not be prepared');
  });
}
