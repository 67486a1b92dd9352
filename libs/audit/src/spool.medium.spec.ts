import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { SystemClock, UuidV7Source } from '@sibyl/kernel';
import type { AuditEvent } from './audit-event';
import { AuditOptions } from './audit-options';
import { FaultyDisk } from './testing/faulty-disk';
import { PayloadCipher } from './payload-cipher';
import { segmentName } from './segment';
import { SegmentSupply } from './segment-supply';
import { SpoolReader } from './spool-reader';
import { SpoolWriter } from './spool-writer';
import { anEvent, silentTrailLog } from './testing';

const clock = new SystemClock();
const ids = new UuidV7Source(clock);
const MIB = 1024 * 1024;
const unavailable = expect.objectContaining({ code: 'audit_unavailable', retryAfterSeconds: 1 }) as Error;

interface Spool {
  readonly chain: string;
  readonly folder: string;
  readonly disk: FaultyDisk;
  readonly supply: SegmentSupply;
  readonly writer: SpoolWriter;
}

let root: string;
const open: SpoolWriter[] = [];

beforeEach(() => {
  root = fs.mkdtempSync(path.join(os.tmpdir(), 'sibyl-spool-'));
});
afterEach(async () => {
  await Promise.all(open.splice(0).map((writer) => writer.close()));
  // The next segment may still be on its way to the disk; begun anew each time, where the other kind only waits.
  await fs.promises.rm(root, { recursive: true, force: true, maxRetries: 20, retryDelay: 20 });
});

async function aSpool(given: Partial<AuditOptions> = {}, expecting?: () => number): Promise<Spool> {
  const options = Object.assign(new AuditOptions(), { segmentBytes: 64 * 1024, probeIntervalMs: 10, ...given });
  const chain = ids.next();
  const folder = path.join(root, chain);
  fs.mkdirSync(folder);
  const disk = new FaultyDisk();
  const supply = new SegmentSupply(folder, disk, options);
  const cipher = new PayloadCipher(Buffer.alloc(32, 1), chain);
  const writer = new SpoolWriter({ chain, supply, disk, cipher, clock, ids, log: silentTrailLog, expecting }, options);
  open.push(writer);
  await writer.start();
  return { chain, folder, disk, supply, writer };
}

async function readAll(reader: SpoolReader, limits = { events: 100, bytes: MIB }): Promise<AuditEvent[]> {
  const events: AuditEvent[] = [];
  for (;;) {
    const batch = await reader.next(events.at(-1)?.seq ?? 0, limits);
    if (!batch) break;
    batch.offsets.forEach((offset, index) => {
      const text = batch.chunk.toString('latin1', offset, offset + (batch.lengths[index] ?? 0));
      events.push(JSON.parse(text) as AuditEvent);
      expect(events.at(-1)?.seq).toBe(batch.firstSeq + index);
    });
  }
  await reader.close();
  return events;
}

/** What a restart would find. */
function recover(spool: Spool): Promise<AuditEvent[]> {
  return readAll(new SpoolReader(spool.folder, spool.chain));
}

function commit(spool: Spool, requestId: string, payload?: string): Promise<void> {
  return spool.writer.commit(anEvent({ requestId }), payload);
}

async function commitEach(spool: Spool, count: number): Promise<string[]> {
  const names = Array.from({ length: count }, (_, index) => `r-${index + 1}`);
  for (const name of names) await commit(spool, name, '{"x":1}');
  return names;
}

async function until(condition: () => boolean): Promise<void> {
  for (let tries = 0; !condition(); tries++) {
    if (tries === 3000) throw new Error('it never came');
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

const names = (events: readonly AuditEvent[]): string[] => events.map((event) => event.request_id);
const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);

describe('the spool', () => {
  it('gives back every event in order, over many segments', async () => {
    const spool = await aSpool();
    const committed = await commitEach(spool, 400);
    expect(fs.readdirSync(spool.folder).length).toBeGreaterThan(3);
    const events = await recover(spool);
    expect(names(events)).toEqual(committed);
    expect(events.map((event) => event.seq)).toEqual(range(400));
  });

  it('writes what is committed meanwhile in one go', async () => {
    const spool = await aSpool();
    const first = commit(spool, 'first');
    await new Promise(setImmediate);
    const rest = range(200).map((n) => commit(spool, `r-${n}`));
    await Promise.all([first, ...rest]);
    expect(spool.writer.status()).toMatchObject({ frames: 2, events: 201 });
  });

  it('waits for requests that are about to commit, so that they share a write', async () => {
    let atRunner = 3;
    const spool = await aSpool({ holdFraction: 4 }, () => atRunner);
    const commits = [commit(spool, 'r-1')];
    await new Promise(setImmediate);
    atRunner = 0;
    commits.push(commit(spool, 'r-2'));
    await Promise.all(commits);
    expect(spool.writer.status()).toMatchObject({ frames: 1, events: 2 });
  });

  it('reads a living chain up to what is durable, and goes on from there', async () => {
    const spool = await aSpool();
    const reader = new SpoolReader(spool.folder, spool.chain, () => spool.writer.durableEnd());
    expect(await reader.next(0, { events: 10, bytes: MIB })).toBeUndefined();
    let seen = 0;
    for (let round = 0; round < 30; round++) {
      await Promise.all(range(20).map((n) => commit(spool, `${round}-${n}`)));
      for (;;) {
        const batch = await reader.next(seen, { events: 7, bytes: 2000 });
        if (!batch) break;
        expect(batch.firstSeq).toBe(seen + 1);
        expect(batch.offsets.length).toBeLessThanOrEqual(7);
        seen += batch.offsets.length;
      }
      expect(seen).toBe((round + 1) * 20);
    }
    expect(reader.done).toBe(false);
    expect(reader.damages).toBe(0);
    await reader.close();
  });

  it('takes an event that is larger than a segment', async () => {
    const spool = await aSpool();
    await commit(spool, 'before');
    await commit(spool, 'large', 'x'.repeat(300_000));
    await commit(spool, 'after');
    expect(names(await recover(spool))).toEqual(['before', 'large', 'after']);
  });

  it('uses shipped segments again, and stale frames in them are never taken', async () => {
    const spool = await aSpool();
    await commitEach(spool, 200);
    const { segment } = spool.writer.durableEnd();
    for (let number = 1; number < segment; number++) await spool.supply.giveBack(number);
    const files = spool.supply.bytes;
    await commitEach(spool, 60);
    expect(spool.supply.bytes).toBe(files);
    const events = await recover(spool);
    expect(events.at(-1)?.seq).toBe(260);
    expect(new Set(events.map((event) => event.seq)).size).toBe(events.length);
  });

  it('lies on disk with nothing of a payload readable', async () => {
    const spool = await aSpool();
    await commit(spool, 'r', '{"patient":"Erika Mustermann"}');
    const bytes = fs.readFileSync(path.join(spool.folder, segmentName(1)));
    expect(bytes.includes('"request_id":"r"')).toBe(true);
    expect(bytes.includes('Mustermann')).toBe(false);
  });

  it('refuses after close, and closes only when what waits is written', async () => {
    const spool = await aSpool();
    const waiting = commit(spool, 'last');
    await spool.writer.close();
    await waiting;
    await expect(commit(spool, 'late')).rejects.toEqual(unavailable);
    expect(names(await recover(spool))).toEqual(['last']);
  });
});

describe('a torn end', () => {
  it('costs nothing that was acknowledged, wherever in the last frame it is torn', async () => {
    const spool = await aSpool({ segmentBytes: 8192 });
    await commitEach(spool, 3);
    const { offset: begin } = spool.writer.durableEnd();
    await commit(spool, 'r-4', '{"x":1}');
    const { offset: end } = spool.writer.durableEnd();
    await spool.writer.close();
    const file = path.join(spool.folder, segmentName(1));
    const whole = fs.readFileSync(file);
    for (let at = begin; at < end; at++) {
      const torn = Buffer.from(whole);
      torn.fill(0, at, end);
      if (torn.equals(whole)) continue;
      fs.writeFileSync(file, torn);
      const reader = new SpoolReader(spool.folder, spool.chain);
      expect(names(await readAll(reader))).toEqual(['r-1', 'r-2', 'r-3']);
      expect(reader.done).toBe(true);
      expect(reader.damages).toBe(0);
      fs.writeFileSync(file, whole.subarray(0, at));
      expect(names(await recover(spool))).toEqual(['r-1', 'r-2', 'r-3']);
    }
  });

  it('is told apart from damage in the middle, which is counted and costs only the damaged frame', async () => {
    const spool = await aSpool();
    await commitEach(spool, 2);
    const { offset: begin } = spool.writer.durableEnd();
    await commit(spool, 'r-3');
    await commit(spool, 'r-4');
    await spool.writer.close();
    const file = path.join(spool.folder, segmentName(1));
    const bytes = fs.readFileSync(file);
    bytes[begin + 100] = (bytes[begin + 100] ?? 0) ^ 1;
    fs.writeFileSync(file, bytes);
    const reader = new SpoolReader(spool.folder, spool.chain);
    expect(names(await readAll(reader))).toEqual(['r-1', 'r-2', 'r-4']);
    expect(reader.damages).toBe(1);
  });

  it('is damage where a later segment says that more was there', async () => {
    const spool = await aSpool();
    await commitEach(spool, 150);
    expect(spool.writer.durableEnd().segment).toBe(2);
    const file = path.join(spool.folder, segmentName(1));
    const bytes = fs.readFileSync(file);
    bytes.fill(0, bytes.length - 8000);
    fs.writeFileSync(file, bytes);
    const reader = new SpoolReader(spool.folder, spool.chain);
    const events = await readAll(reader);
    expect(events.length).toBeLessThan(150);
    expect(events.at(-1)?.request_id).toBe('r-150');
    expect(reader.damages).toBe(1);
  });
});

describe('a failing disk', () => {
  it.each(range(12))('loses nothing acknowledged and keeps nothing refused when write %i fails', async (n) => {
    const spool = await aSpool();
    spool.disk.writesLeft = n;
    const kept: string[] = [];
    for (let i = 1; i <= 20; i++) {
      await commit(spool, `r-${i}`).then(
        () => kept.push(`r-${i}`),
        (error: unknown) => expect(error).toEqual(unavailable),
      );
    }
    expect(kept).toHaveLength(n);
    expect(spool.writer.writable).toBe(false);
    spool.disk.writesLeft = Infinity;
    await until(() => spool.writer.writable);
    await commit(spool, 'again');
    kept.push('again');
    const events = await recover(spool);
    expect(names(events)).toEqual(kept);
    expect(events.map((event) => event.seq)).toEqual(range(kept.length));
  });

  it('never takes a refused frame for good, though it reached the disk whole and cannot be cut off', async () => {
    const spool = await aSpool();
    await commit(spool, 'kept');
    Object.assign(spool.disk, { writesLeft: 0, tornBytes: Infinity, canCut: false });
    await expect(commit(spool, 'refused')).rejects.toEqual(unavailable);
    Object.assign(spool.disk, { writesLeft: Infinity });
    await until(() => spool.writer.writable);
    await commit(spool, 'again');
    const live = new SpoolReader(spool.folder, spool.chain, () => spool.writer.durableEnd());
    expect(names(await readAll(live))).toEqual(['kept', 'again']);
    expect(names(await recover(spool))).toEqual(['kept', 'again']);
  });

  it('refuses all that wait with the one that failed', async () => {
    const spool = await aSpool();
    spool.disk.hangs = true;
    const first = commit(spool, 'in flight');
    await new Promise(setImmediate);
    const second = commit(spool, 'waiting');
    spool.disk.writesLeft = 0;
    spool.disk.release();
    await expect(first).rejects.toEqual(unavailable);
    await expect(second).rejects.toEqual(unavailable);
    expect(spool.writer.status()).toMatchObject({ refused: 2, lastError: 'ENOSPC: injected' });
  });

  it('tells those who wait when the disk hangs, and goes on when it answers', async () => {
    const spool = await aSpool({ stalledAfterMs: 20 });
    spool.disk.hangs = true;
    const first = commit(spool, 'in flight');
    await new Promise(setImmediate);
    const second = commit(spool, 'waiting');
    await expect(first).rejects.toEqual(unavailable);
    await expect(second).rejects.toEqual(unavailable);
    expect(spool.writer.writable).toBe(false);
    spool.disk.release();
    await until(() => spool.writer.writable);
    await commit(spool, 'again');
    // The write in flight did end well, so its event stands: refused, yet recorded, is the safe way to be wrong.
    const events = await recover(spool);
    expect(names(events)).toEqual(['in flight', 'again']);
    expect(events.map((event) => event.seq)).toEqual([1, 2]);
  });

  it('tells each who waits once, however long the disk hangs and however the write ends', async () => {
    const spool = await aSpool({ stalledAfterMs: 20 });
    spool.disk.hangs = true;
    const told: string[] = [];
    const submit = (name: string): void =>
      spool.writer.submit(anEvent({ requestId: name }), undefined, {
        durable: () => told.push(`${name} durable`),
        lost: () => told.push(`${name} lost`),
      });
    submit('in flight');
    await new Promise(setImmediate);
    submit('waiting');
    await until(() => told.length === 2);
    // The disk is looked at four times a second: long enough to be told again.
    await new Promise((resolve) => setTimeout(resolve, 600));
    spool.disk.release();
    await until(() => spool.writer.writable);
    submit('again');
    await until(() => told.includes('again durable'));
    expect(told).toEqual(['in flight lost', 'waiting lost', 'again durable']);
  });

  it('starts without room, and serves when there is some', async () => {
    const options = Object.assign(new AuditOptions(), { segmentBytes: 64 * 1024, probeIntervalMs: 10 });
    const disk = new FaultyDisk();
    disk.hasRoom = false;
    const chain = ids.next();
    const supply = new SegmentSupply(root, disk, options);
    const cipher = new PayloadCipher(Buffer.alloc(32), chain);
    const writer = new SpoolWriter({ chain, supply, disk, cipher, clock, ids, log: silentTrailLog }, options);
    open.push(writer);
    await writer.start();
    await expect(writer.commit(anEvent())).rejects.toEqual(unavailable);
    disk.hasRoom = true;
    await until(() => writer.writable);
    await writer.commit(anEvent());
  });

  it('goes on in the segment that is left when the disk fills up, then refuses, then recovers', async () => {
    const spool = await aSpool();
    await commit(spool, 'r-0');
    spool.disk.hasRoom = false;
    let kept = 1;
    for (let failed = false; !failed;) {
      await commit(spool, `r-${kept}`).then(
        () => kept++,
        () => (failed = true),
      );
    }
    expect(kept).toBeGreaterThan(50);
    spool.disk.hasRoom = true;
    await until(() => spool.writer.writable);
    await commit(spool, 'again');
    expect(names(await recover(spool))).toEqual([...range(kept).map((n) => `r-${n - 1}`), 'again']);
  });
});

describe('the limits of the spool', () => {
  it('refuses at its size on disk, and serves again when a segment was shipped', async () => {
    const spool = await aSpool({ spoolBytes: 256 * 1024 });
    let kept = 0;
    for (let failed = false; !failed;) {
      await commit(spool, `r-${kept}`).then(
        () => kept++,
        () => (failed = true),
      );
    }
    expect(spool.supply.bytes).toBe(256 * 1024);
    await spool.supply.giveBack(1);
    await until(() => spool.writer.writable);
    await commit(spool, 'again');
    const events = await recover(spool);
    expect(events.at(-1)).toMatchObject({ request_id: 'again', seq: kept + 1 });
  });

  it('refuses when too many events or bytes wait, instead of growing', async () => {
    const spool = await aSpool({ queueEvents: 3, queueBytes: 64 * 1024 });
    spool.disk.hangs = true;
    const first = commit(spool, 'in flight');
    await new Promise(setImmediate);
    const waiting = range(3).map((n) => commit(spool, `r-${n}`));
    await expect(commit(spool, 'one too many')).rejects.toEqual(unavailable);
    spool.disk.release();
    await Promise.all([first, ...waiting]);
    spool.disk.hangs = true;
    const large = commit(spool, 'large', 'x'.repeat(70_000));
    await expect(commit(spool, 'no room')).rejects.toEqual(unavailable);
    spool.disk.release();
    await large;
  });

  it('says so when the folder was taken away', async () => {
    const spool = await aSpool();
    fs.rmSync(spool.folder, { recursive: true });
    spool.writer.lose(new Error('gone'));
    await expect(commit(spool, 'r')).rejects.toEqual(unavailable);
    expect(spool.writer.writable).toBe(false);
  });
});
