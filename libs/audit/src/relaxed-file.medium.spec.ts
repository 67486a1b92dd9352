import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { FakeClock } from '@sibyl/kernel/testing';
import { RelaxedFile } from './relaxed-file';

const WINDOW_MS = 100;
type Sync = (error: NodeJS.ErrnoException | null) => void;

let folder: string;
let clock: FakeClock;
let file: RelaxedFile;
let synced: number;
/** Syncs that the disk has not answered. */
let atDisk: Sync[];
let told: string[];

/** The real file and kernel, but the test says when the disk has what it was asked to sync. */
beforeEach(() => {
  jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick'] });
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'sibyl-relaxed-'));
  atDisk = [];
  told = [];
  synced = 0;
  clock = new FakeClock();
  jest.spyOn(fs, 'fdatasync').mockImplementation((_fd, done) => void atDisk.push(done));
  const name = path.join(folder, 'segment');
  fs.writeFileSync(name, Buffer.alloc(4096));
  file = new RelaxedFile(fs.openSync(name, 'r+'), { clock, windowMs: WINDOW_MS, onSynced: () => synced++ });
});

afterEach(async () => {
  jest.restoreAllMocks();
  for (const end of atDisk.splice(0)) end(null);
  await file.close();
  jest.useRealTimers();
  fs.rmSync(folder, { recursive: true });
});

function write(name: string, strict = false, position = 0): void {
  file.write(Buffer.from(name), position, strict, (error) => told.push(error ? `${name} ${error.message}` : name));
}

function pass(ms: number): void {
  clock.advance(ms);
  jest.advanceTimersByTime(ms);
}

function answerSync(error: NodeJS.ErrnoException | null = null): void {
  atDisk.shift()!(error);
}

/** Lets a write come back that went by the thread pool. */
async function settled(done: () => boolean): Promise<void> {
  for (let tries = 0; !done() && tries < 10_000; tries++) await new Promise(setImmediate);
  expect(done()).toBe(true);
}

it('tells of a write at once, and has the kernel hold it then', () => {
  write('abc');
  expect(told).toEqual(['abc']);
  expect(fs.readFileSync(path.join(folder, 'segment')).toString('latin1', 0, 3)).toBe('abc');
  expect(atDisk).toHaveLength(0);
});

it('syncs within the window, once for all that was written, and not again without need', () => {
  for (const name of ['a', 'b', 'c']) write(name);
  pass(WINDOW_MS / 2);
  expect(atDisk).toHaveLength(1);
  answerSync();
  expect(synced).toBe(1);
  pass(10 * WINDOW_MS);
  expect(atDisk).toHaveLength(0);
});

it('has one sync under way, and another for what came meanwhile', async () => {
  write('a');
  pass(WINDOW_MS / 2);
  write('b');
  await settled(() => told.includes('b'));
  pass(WINDOW_MS / 2);
  expect(atDisk).toHaveLength(1);
  answerSync();
  pass(WINDOW_MS / 2);
  expect(atDisk).toHaveLength(1);
});

it('tells of a strict write when the disk has it', () => {
  write('a');
  write('strict', true);
  expect(told).toEqual(['a']);
  answerSync();
  expect(told).toEqual(['a', 'strict']);
});

it('waits with a strict write for a sync that began after it', async () => {
  write('a');
  pass(WINDOW_MS / 2);
  write('strict', true);
  await settled(() => fs.readFileSync(path.join(folder, 'segment')).toString('latin1', 0, 6) === 'strict');
  await new Promise((resolve) => setImmediate(resolve));
  answerSync();
  expect(told).toEqual(['a']);
  await settled(() => atDisk.length === 1);
  answerSync();
  expect(told).toEqual(['a', 'strict']);
});

it('tells nobody anything while the disk is further behind than the window', async () => {
  write('a');
  pass(WINDOW_MS / 2);
  pass(WINDOW_MS / 2 + 1);
  write('late');
  await settled(() => fs.readFileSync(path.join(folder, 'segment')).toString('latin1', 0, 4) === 'late');
  await new Promise((resolve) => setImmediate(resolve));
  expect(told).toEqual(['a']);
  answerSync();
  await settled(() => atDisk.length === 1);
  answerSync();
  expect(told).toEqual(['a', 'late']);
  write('again');
  expect(told).toEqual(['a', 'late', 'again']);
});

it('fails the writes after a sync that failed, until one succeeds', async () => {
  write('a');
  pass(WINDOW_MS / 2);
  answerSync(Object.assign(new Error('EIO'), { code: 'EIO' }));
  write('b');
  expect(told).toEqual(['a', 'b EIO']);
  expect(synced).toBe(0);
  const mended = file.sync();
  answerSync();
  await mended;
  write('c');
  expect(told).toEqual(['a', 'b EIO', 'c']);
});

it('is on the disk before it is closed', async () => {
  write('a');
  const closed = file.close();
  expect(atDisk).toHaveLength(1);
  answerSync();
  await closed;
  expect(synced).toBe(1);
});
