import { processMark } from '@sibyl/kernel';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { TrainingFiles } from './training-files';
import { nameOf } from './training-name';

const MiB = 1024 * 1024;
const HOUR = 3_600_000;

describe('files of training sets', () => {
  let folder: string;
  let files: TrainingFiles;
  let made = 0;

  beforeEach(async () => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'sibyl-training-'));
    // Of one caller eight, and one at a time.
    files = new TrainingFiles(folder, { totalBytes: 16 * MiB, keptMs: HOUR });
    await files.start();
  });
  afterEach(() => {
    files.stop();
    rmSync(folder, { recursive: true });
  });

  const idOf = (n: number): string => `01a20168-62a4-7000-8dd9-${String(n).padStart(12, '0')}`;

  /** Writes so many, and answers the name; each is a second younger than the one before. */
  async function make(caller: string, mebibytes: number): Promise<string> {
    const name = nameOf(idOf(++made), caller, 'ndjson');
    const file = await files.create(name);
    try {
      for (let i = 0; i < mebibytes; i++) await file.write([Buffer.alloc(MiB)]);
      await file.finish();
    } catch (error) {
      await file.discard();
      throw error;
    }
    const at = Date.now() / 1000 - 1000 + made;
    utimesSync(path.join(folder, name), at, at);
    return name;
  }
  const lying = (): string[] => readdirSync(folder).sort();

  it('of one caller make room for its next one, the oldest first; those of others stay', async () => {
    const other = await make('other', 3);
    const own = [await make('one', 3), await make('one', 3)];
    own.push(await make('one', 3));
    expect(lying()).toEqual([other, ...own.slice(1)].sort());
    own.push(await make('one', 6));
    expect(lying()).toEqual([other, ...own.slice(3)].sort());
  });

  it('are refused where others have the room, and then nothing is lost and nothing left', async () => {
    const before = [await make('a', 7), await make('b', 6)].sort();
    const full = { code: 'storage_full', retryAfterSeconds: 60 };
    const ofAll = expect.stringContaining(`of all keys together may take ${16 * MiB} bytes`) as string;
    await expect(make('c', 4)).rejects.toMatchObject({ ...full, detail: ofAll });
    expect(lying()).toEqual(before);
    const small = await make('c', 2);
    await expect(files.require('d')).resolves.toBeUndefined();
    before.push(small, await make('d', 1));
    await expect(files.require('e')).rejects.toMatchObject({ code: 'storage_full' });
    expect(lying()).toEqual(before.sort());
    await files.require('d');
    expect(lying()).toEqual(before.slice(0, -1));
  });

  it('that went for one who needed room stand for the next one too: nothing more goes', async () => {
    const before = [await make('a', 1), await make('a', 6), await make('b', 1), await make('b', 6), await make('c', 2)];
    await Promise.all([files.require('a'), files.require('b')]);
    expect(lying()).toEqual(before.slice(1).sort());
  });

  it('of which one is larger than a share is refused for good', async () => {
    const kept = await make('other', 1);
    await expect(make('one', 9)).rejects.toMatchObject({ code: 'body_too_large' });
    expect(lying()).toEqual([kept]);
    expect(lying()).not.toContain(await make('one', 8));
  });

  it('that are being written make room for nobody, and count', async () => {
    const spool = await files.create(files.spoolOf('one'));
    for (let i = 0; i < 6; i++) await spool.write([Buffer.alloc(MiB)]);
    const ofOne = expect.stringContaining(`of one key may take ${8 * MiB} bytes`) as string;
    await expect(make('one', 3)).rejects.toMatchObject({ code: 'storage_full', detail: ofOne });
    expect(lying()).toEqual([expect.stringMatching(/\.rows\..*\.part$/)]);
    await spool.discard();
    const name = await make('one', 3);
    expect(lying()).toEqual([name]);
  });

  it('of operations that never ended go, whoever they were made for', async () => {
    const [gone, stays] = [await make('one', 1), await make('one', 1)];
    // Of one that runs still, and of another process.
    const running = `${gone.replace('01a20168', '01a20169')}.0000abcd-1.part`;
    writeFileSync(path.join(folder, running), '');
    await files.removeOf([gone.slice(0, 36), running.slice(0, 36)]);
    expect(lying()).toEqual([stays, running].sort());
    expect(statSync(path.join(folder, stays)).size).toBe(MiB);
  });

  it('are of the bytes that were written, and of who they were made for', async () => {
    const name = nameOf(idOf(++made), 'one', 'csv');
    const file = await files.create(name);
    await file.write([Buffer.from('a,b\n'), Buffer.from('1,2\n')]);
    const sha256 = createHash('sha256').update('a,b\n1,2\n').digest('hex');
    expect(await file.finish()).toEqual({ bytes: 8, sha256 });
    expect([files.isOf(name, 'one'), files.isOf(name, 'other')]).toEqual([true, false]);
  });

  it('that are too old, or were left by a process that is gone, go when the next one begins; nothing else does', async () => {
    const id = (n: number): string => `${idOf(n)}.ndjson`;
    const old = (name: string): string => {
      writeFileSync(path.join(folder, name), '');
      utimesSync(path.join(folder, name), Date.now() / 1000 - 3700, Date.now() / 1000 - 3700);
      return name;
    };
    // One of before callers had shares is one like others.
    for (const name of [id(1), nameOf(idOf(2), 'one', 'csv')]) old(name);
    // No process has the number of this one and is another one: a predecessor had it.
    writeFileSync(path.join(folder, `${id(3)}.${processMark()}.part`), '');
    const foreign = [old('notes.txt'), `${id(4)}.0000abcd-1.part`];
    writeFileSync(path.join(folder, foreign[1] as string), '');
    const fresh = await make('one', 1);
    // This process works on it for as long as it likes.
    const spool = files.spoolOf('one');
    await (await files.create(spool)).finish();
    old(spool);
    files.stop();
    await files.start();
    expect(lying()).toEqual([...foreign, fresh, spool].sort());
  });

  it('are a thousand of one caller at most', async () => {
    for (let i = 0; i < 1000; i++) {
      const name = path.join(folder, nameOf(idOf(++made), 'one', 'csv'));
      writeFileSync(name, '');
      utimesSync(name, Date.now() / 1000 - 2000 + i, Date.now() / 1000 - 2000 + i);
    }
    const [oldest, ...others] = lying();
    others.push(await make('other', 0), await make('one', 0));
    expect(lying()).toEqual(others);
    expect(others).not.toContain(oldest);
  });
});
