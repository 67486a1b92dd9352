// The process that kill.medium.spec.ts kills: it commits as fast as it can and says on standard output what was
// acknowledged, in writes that are done when they return.
import fs from 'node:fs';
import path from 'node:path';
import { SystemClock, UuidV7Source } from '@sibyl/kernel';
import { AuditOptions } from '../audit-options';
import { PayloadCipher } from '../payload-cipher';
import { SegmentSupply } from '../segment-supply';
import { SpoolDisk } from '../spool-disk';
import { SpoolWriter } from '../spool-writer';
import { anEvent, silentTrailLog } from '../testing';

/** What to run. */
export const KILLED_WRITER = __filename;

const CALLERS = 8;

async function main(folder: string): Promise<void> {
  const clock = new SystemClock();
  const ids = new UuidV7Source(clock);
  const chain = path.basename(folder);
  const options = Object.assign(new AuditOptions(), { segmentBytes: 64 * 1024 });
  const disk = new SpoolDisk();
  const supply = new SegmentSupply(folder, disk, options);
  const cipher = new PayloadCipher(Buffer.alloc(32, 1), chain);
  const writer = new SpoolWriter({ chain, supply, disk, cipher, clock, ids, log: silentTrailLog }, options);
  await writer.start();
  const caller = async (name: number): Promise<void> => {
    for (let n = 0; ; n++) {
      const requestId = `${name}-${n}`;
      await writer.commit(anEvent({ requestId }), '{"x":1}');
      fs.writeSync(1, `${requestId}\n`);
    }
  };
  await Promise.all(Array.from({ length: CALLERS }, (_, name) => caller(name)));
}

if (require.main === module) void main(process.argv[2] ?? '');
