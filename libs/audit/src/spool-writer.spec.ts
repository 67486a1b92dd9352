import { UuidV7Source } from '@sibyl/kernel';
import { FakeClock } from '@sibyl/kernel/testing';
import { AuditOptions } from './audit-options';
import { PayloadCipher } from './payload-cipher';
import { SegmentSupply } from './segment-supply';
import type { Done, SegmentFile } from './segment-file';
import { SpoolDisk } from './spool-disk';
import { SpoolWriter } from './spool-writer';
import { anEvent, silentTrailLog } from './testing';

const unavailable = expect.objectContaining({ code: 'audit_unavailable' }) as Error;
const LONG_MS = 60_000;

/** Keeps nothing, and ends each write when the test says so. */
class HandheldDisk extends SpoolDisk {
  opened = 0;
  readonly pending: Done[] = [];

  override create(): Promise<void> {
    return Promise.resolve();
  }

  override open(): SegmentFile {
    this.opened++;
    const done = (): Promise<void> => Promise.resolve();
    const write = (...[, , , end]: Parameters<SegmentFile['write']>): void => void this.pending.push(end);
    return { write, sync: done, cut: done, close: done };
  }

  /** Ends the oldest write, which must be there. */
  async end(error?: Error): Promise<void> {
    this.pending.shift()!(error);
    await settle();
  }
}

let disk: HandheldDisk;
let writer: SpoolWriter;
let durable: number;

beforeEach(() => {
  jest.useFakeTimers();
  const options = Object.assign(new AuditOptions(), { segmentBytes: 64 * 1024, holdFraction: 0 });
  const clock = new FakeClock();
  disk = new HandheldDisk();
  durable = 0;
  const parts = {
    chain: 'a-chain',
    supply: new SegmentSupply('nowhere', disk, options),
    disk,
    cipher: new PayloadCipher(Buffer.alloc(32, 1), 'a-chain'),
    clock,
    ids: new UuidV7Source(clock),
    log: silentTrailLog,
    onDurable: () => durable++,
  };
  writer = new SpoolWriter(parts, options);
});

afterEach(async () => {
  await writer.close();
  jest.useRealTimers();
});

/** Lets everything come that comes without the disk; nothing here takes longer than `ms`. */
async function settle(ms = 0): Promise<void> {
  await jest.advanceTimersByTimeAsync(ms);
}

async function started(): Promise<void> {
  const starting = writer.start();
  await settle();
  await disk.end();
  await starting;
  expect(writer.writable).toBe(true);
}

describe('a writer that lost its folder', () => {
  it('refuses for good, though its disk could be written', async () => {
    await started();
    writer.lose(new Error('gone'));
    await settle(LONG_MS);
    expect(disk.opened).toBe(1);
    expect(writer.writable).toBe(false);
    await expect(writer.commit(anEvent())).rejects.toEqual(unavailable);
    expect(writer.status()).toMatchObject({ lastError: 'gone' });
  });

  it('is not opened by a start that was under way', async () => {
    const starting = writer.start();
    await settle();
    writer.lose(new Error('gone'));
    await disk.end();
    await starting;
    await settle(LONG_MS);
    expect(writer.writable).toBe(false);
    await expect(writer.commit(anEvent())).rejects.toEqual(unavailable);
  });

  it('gives up the attempts to go on after a failure of the disk', async () => {
    await started();
    const refused = expect(writer.commit(anEvent())).rejects.toEqual(unavailable);
    await settle();
    await disk.end(new Error('full'));
    await refused;
    writer.lose(new Error('gone'));
    await settle(LONG_MS);
    expect(disk.opened).toBe(1);
    expect(writer.status()).toMatchObject({ lastError: 'gone' });
  });

  it('is not opened by such an attempt that was under way', async () => {
    await started();
    writer.commit(anEvent()).catch(() => undefined);
    await settle();
    await disk.end(new Error('full'));
    await settle(LONG_MS);
    expect(disk.opened).toBe(2);
    writer.lose(new Error('gone'));
    await disk.end();
    await settle(LONG_MS);
    expect(writer.writable).toBe(false);
    expect(writer.status()).toMatchObject({ lastError: 'gone' });
  });

  it('refused the write in flight, and its late end changes nothing', async () => {
    await started();
    const commit = writer.commit(anEvent());
    await settle();
    const before = writer.durableEnd();
    writer.lose(new Error('gone'));
    await expect(commit).rejects.toEqual(unavailable);
    await disk.end();
    expect(writer.durableEnd()).toEqual(before);
    expect(writer.status()).toMatchObject({ frames: 0, events: 0, lastError: 'gone' });
    expect(durable).toBe(0);
  });

  it('writes no frame into a segment that it was opening for it', async () => {
    await started();
    for (const payload of ['small', 'x'.repeat(70_000)]) {
      writer.commit(anEvent(), payload).catch(() => undefined);
      await settle();
      if (payload === 'small') await disk.end();
    }
    expect(disk.opened).toBe(2);
    writer.lose(new Error('gone'));
    await disk.end();
    expect(disk.pending).toEqual([]);
  });
});

it('goes on in a new segment after a failure of the disk', async () => {
  await started();
  writer.commit(anEvent()).catch(() => undefined);
  await settle();
  await disk.end(new Error('full'));
  expect(writer.writable).toBe(false);
  await settle(LONG_MS);
  await disk.end();
  expect(writer.writable).toBe(true);
  const commit = writer.commit(anEvent());
  await settle();
  await disk.end();
  await commit;
  expect(writer.status()).toMatchObject({ frames: 1, events: 1, refused: 1 });
});
