import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmod, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { DomainError, SystemClock, UuidV7Source } from '@sibyl/kernel';
import { RegistryOptions } from './registry-options';
import { UploadParts } from './upload-parts';
import { UploadedFiles, type UploadRange, type UploadState } from './uploaded-files';

const UNIT = 100_000;
const RIGHT = Buffer.alloc(3 * UNIT, 'the bytes that the digest names');
const WRONG = Buffer.alloc(3 * UNIT, 'other bytes');
const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
const NAME = sha256(RIGHT);
const WHOLE: UploadRange = { offset: 0, total: RIGHT.length };

/** Somebody who sends when he is told to. */
class Sender {
  private readonly waiting: ((chunk: Buffer | undefined) => void)[] = [];
  private asked: (() => void) | undefined;

  async *chunks(): AsyncGenerator<Buffer> {
    for (;;) {
      const next = new Promise<Buffer | undefined>((resolve) => this.waiting.push(resolve));
      this.asked?.();
      const chunk = await next;
      if (chunk === undefined) return;
      yield chunk;
    }
  }

  async send(chunk: Buffer | undefined): Promise<void> {
    while (this.waiting.length === 0) await new Promise<void>((resolve) => (this.asked = resolve));
    this.waiting.shift()?.(chunk);
  }
}

async function* at(bytes: Buffer, size = 16 * 1024): AsyncGenerator<Buffer> {
  for (let i = 0; i < bytes.length; i += size) {
    await Promise.resolve();
    yield bytes.subarray(i, i + size);
  }
}

async function* broken(bytes: Buffer): AsyncGenerator<Buffer> {
  yield* at(bytes);
  throw new Error('the connection broke');
}

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'sibyl-uploads-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** Another process, but for its number. */
function files(limits: Partial<RegistryOptions> = {}): UploadedFiles {
  const options = Object.assign(new RegistryOptions(), { artifactFolder: folder, ...limits });
  return new UploadedFiles(options, new SystemClock(), new UuidV7Source(new SystemClock()));
}

const codeOf = (error: unknown): string => (error instanceof DomainError ? error.code : String(error));
const outcome = (work: Promise<UploadState>): Promise<string> =>
  work.then(({ offset, complete }) => `${offset} ${complete}`, codeOf);
const names = async (): Promise<string[]> =>
  (await readdir(path.join(folder, 'files'), { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map(({ name }) => name);
const stored = async (from: UploadedFiles): Promise<Buffer | undefined> => {
  const found = await from.find('m', NAME);
  return found && readFile(path.join(found.folder, found.file));
};

describe('files that several processes take into one folder', () => {
  it('are written by one at a time, and whoever sends others loses only his own', async () => {
    const [one, two] = [files(), files()];
    const slow = new Sender();
    const right = one.receive('m', NAME, WHOLE, slow.chunks());
    await slow.send(RIGHT.subarray(0, UNIT));
    await slow.send(RIGHT.subarray(UNIT, 2 * UNIT));
    expect(await outcome(two.receive('m', NAME, WHOLE, at(WRONG)))).toBe('queue_full');
    expect(await outcome(two.receive('m', NAME, { offset: 5 }, at(WRONG)))).toBe('invalid_parameter');
    const { offset } = await two.state('m', NAME);
    expect(await outcome(two.receive('m', NAME, { offset, total: RIGHT.length }, at(WRONG)))).toBe('queue_full');
    await slow.send(RIGHT.subarray(2 * UNIT));
    await slow.send(undefined);
    expect(await outcome(right)).toBe(`${RIGHT.length} true`);
    expect(await stored(two)).toEqual(RIGHT);
    expect(await names()).toEqual([NAME]);
  });

  it('come whole from every right sender of many at once, whatever the others send', async () => {
    for (let round = 0; round < 4; round++) {
      const senders = Array.from({ length: 4 }, (_, i) =>
        outcome(files().receive('m', NAME, WHOLE, at(i % 2 === 0 ? RIGHT : WRONG))),
      );
      const said = await Promise.all(senders);
      const whole = `${RIGHT.length} true`;
      said.forEach((answer, i) =>
        expect([whole, 'queue_full', ...(i % 2 === 0 ? [] : ['invalid_parameter'])]).toContain(answer),
      );
      if (said.includes(whole)) expect(await stored(files())).toEqual(RIGHT);
      else expect(await outcome(files().receive('m', NAME, WHOLE, at(RIGHT)))).toBe(whole);
      expect(await names()).toEqual([NAME]);
      await files().discard('m', [NAME]);
    }
  });

  it('go on in one process where they broke off in another, and only in one', async () => {
    const half = RIGHT.length / 2;
    expect(await outcome(files().receive('m', NAME, WHOLE, broken(RIGHT.subarray(0, half))))).toContain('broke');
    expect(await files().state('m', NAME)).toEqual({ offset: half, complete: false });
    const rest = { offset: half, total: RIGHT.length };
    const said = await Promise.all(
      [1, 2, 3].map(() => outcome(files().receive('m', NAME, rest, at(RIGHT.subarray(half))))),
    );
    expect(said.sort()).toEqual([`${RIGHT.length} true`, 'queue_full', 'queue_full']);
    expect(await stored(files())).toEqual(RIGHT);
  });

  it('go on after the process that took them was killed', async () => {
    const script = `require('reflect-metadata');
      require('./test/support/load-typescript.cjs');
      const { UploadedFiles } = require('./libs/registry/src/uploaded-files');
      const { RegistryOptions } = require('./libs/registry/src/registry-options');
      const { SystemClock, UuidV7Source } = require('@sibyl/kernel');
      const clock = new SystemClock();
      const limits = Object.assign(new RegistryOptions(), { artifactFolder: ${JSON.stringify(folder)} });
      const chunks = async function* () {
        yield Buffer.alloc(1000, 'x');
        process.kill(process.pid, 'SIGKILL');
        await new Promise(() => setTimeout(() => undefined, 10_000));
      };
      const range = { offset: 0, total: 3000 };
      void new UploadedFiles(limits, clock, new UuidV7Source(clock)).receive('m', '${NAME}', range, chunks());`;
    const killed = promisify(execFile)(process.execPath, ['-e', script], { cwd: path.resolve(__dirname, '../../..') });
    await expect(killed).rejects.toMatchObject({ signal: 'SIGKILL' });
    expect(await names()).toEqual([expect.stringMatching(/\.3000\..*\.part$/)]);
    expect(await files().state('m', NAME)).toEqual({ offset: 1000, complete: false });
    expect(await names()).toEqual([`${NAME}.part`]);
    const rest = { offset: 1000, total: 3000 };
    // Its beginning was another file's: all of it goes.
    expect(await outcome(files().receive('m', NAME, rest, at(RIGHT.subarray(1000, 3000))))).toBe('invalid_parameter');
    expect(await names()).toEqual([]);
  });

  it('of another machine are left to it as long as it writes to them', async () => {
    await outcome(files().receive('m', NAME, WHOLE, broken(RIGHT.subarray(0, 1000))));
    const [place] = await readdir(path.join(folder, 'files'));
    const foreign = path.join(folder, 'files', place ?? '', `${NAME}.300000.0badf00d-77-x.part`);
    await writeFile(foreign, 'x');
    expect(await outcome(files().receive('m', NAME, WHOLE, at(RIGHT)))).toBe('queue_full');
    await utimes(foreign, 1, Date.now() / 1000 - 120);
    expect(await outcome(files().receive('m', NAME, WHOLE, at(RIGHT)))).toBe(`${RIGHT.length} true`);
    expect(await names()).toEqual([NAME]);
  });

  it('may not have more bytes together than the limit, those included that are still to come', async () => {
    const limits = { artifactBytes: 4 * UNIT, uploadBytes: 7 * UNIT };
    const slow = new Sender();
    const first = files(limits).receive('m', NAME, WHOLE, slow.chunks());
    await slow.send(RIGHT.subarray(0, 10));
    const second = files(limits).receive('other', NAME, { offset: 0, total: RIGHT.length }, at(RIGHT));
    expect(await outcome(second)).toBe(`${RIGHT.length} true`);
    // Three units are there, and three are announced, of which ten bytes are.
    expect(await outcome(files(limits).receive('third', NAME, WHOLE, at(RIGHT)))).toBe('queue_full');
    // Of one that does not say how much will come, the most is expected.
    expect(await outcome(files(limits).receive('third', NAME, { offset: 0 }, at(RIGHT)))).toBe('queue_full');
    await slow.send(undefined);
    expect(await outcome(first)).toBe('10 false');
    expect(await outcome(files(limits).receive('third', NAME, WHOLE, at(RIGHT)))).toBe(`${RIGHT.length} true`);
  });

  it('leave nothing of a refused one behind', async () => {
    const limits = { uploadsKept: 1 };
    await files(limits).receive('m', NAME, WHOLE, at(RIGHT));
    const other = sha256(WRONG);
    expect(await outcome(files(limits).receive('m', other, WHOLE, at(WRONG)))).toBe('queue_full');
    expect(await outcome(files().receive('m', other, WHOLE, at(RIGHT)))).toBe('invalid_parameter');
    expect(await names()).toEqual([NAME]);
    if (process.getuid?.() === 0) return;
    await chmod(path.join(folder, 'files'), 0o500);
    expect(await outcome(files().receive('m2', other, WHOLE, at(WRONG)))).toContain('EACCES');
    await chmod(path.join(folder, 'files'), 0o700);
  });

  describe('of one model', () => {
    const other = sha256(WRONG);
    const put = (by: UploadedFiles, model: string, bytes: Buffer): Promise<string> =>
      outcome(by.receive(model, sha256(bytes), { offset: 0, total: bytes.length }, at(bytes)));

    it.each([
      ['files', { uploadsKeptOfModel: 1 }],
      ['bytes', { uploadBytesOfModel: 4 * UNIT }],
    ])('have a share of their own in %s, whichever process takes them', async (_, limits) => {
      expect(await put(files(limits), 'm', RIGHT)).toBe(`${RIGHT.length} true`);
      expect(await put(files(limits), 'm', WRONG)).toBe('queue_full');
      expect(await put(files(limits), 'other', WRONG)).toBe(`${WRONG.length} true`);
    });

    it('are seen at once where another process sent them, and those of other models where all seems taken', async () => {
      const [one, two] = [files({ uploadsKept: 2, uploadsKeptOfModel: 2 }), files()];
      expect(await put(one, 'm', RIGHT)).toBe(`${RIGHT.length} true`);
      expect(await put(two, 'other', RIGHT)).toBe(`${RIGHT.length} true`);
      expect(await put(one, 'm', WRONG)).toBe('queue_full');
      await two.discard('other', [NAME]);
      expect(await put(one, 'm', WRONG)).toBe(`${WRONG.length} true`);
      expect(await put(two, 'm', Buffer.from('a third'))).toBe('7 true');
      expect(await put(one, 'm', Buffer.from('a fourth'))).toBe('queue_full');
    });

    it('do not overlook each other where many come at once', async () => {
      const limits = { uploadsKept: 3, uploadsKeptOfModel: 2, uploadsAtOnce: 100 };
      const one = files(limits);
      const all = Array.from({ length: 24 }, (_, i) => put(one, `m${i % 3}`, Buffer.from(`file ${i}`)));
      await Promise.all(all);
      expect((await names()).length).toBeLessThanOrEqual(3);
    });

    it('are asked for their size once, not for each file that comes', async () => {
      const one = files();
      for (let i = 0; i < 50; i++) await put(one, 'm', Buffer.from(`small ${i}`));
      const entry = jest.spyOn(UploadParts.prototype, 'entry');
      await put(one, 'm', Buffer.from('one more'));
      expect(entry.mock.calls.filter(([, name]) => !name.endsWith('.part')).length).toBeLessThanOrEqual(1);
      entry.mockRestore();
    });

    it('can be given back, whole or begun, and make room', async () => {
      const limits = { uploadsKeptOfModel: 1 };
      const own = files(limits);
      await put(own, 'm', RIGHT);
      expect(await own.giveBack('m', other)).toEqual({ offset: 0, complete: false });
      expect(await put(own, 'm', WRONG)).toBe('queue_full');
      expect(await own.giveBack('m', NAME)).toEqual({ offset: 0, complete: false });
      expect(await outcome(own.receive('m', NAME, WHOLE, broken(RIGHT.subarray(0, 1000))))).toContain('broke');
      expect(await put(own, 'm', WRONG)).toBe('queue_full');
      expect(await files().giveBack('m', NAME)).toEqual({ offset: 0, complete: false });
      expect(await put(own, 'm', WRONG)).toBe(`${WRONG.length} true`);
      expect(await names()).toEqual([other]);
    });

    it('are not taken from whoever sends them', async () => {
      const slow = new Sender();
      const sending = files().receive('m', NAME, WHOLE, slow.chunks());
      await slow.send(RIGHT.subarray(0, UNIT));
      expect(await outcome(files().giveBack('m', NAME))).toBe('in_use');
      await slow.send(RIGHT.subarray(UNIT));
      await slow.send(undefined);
      expect(await outcome(sending)).toBe(`${RIGHT.length} true`);
    });

    it('go when nobody has added to them for their time, though they were looked at before', async () => {
      const own = files({ uploadKeepMs: 3_600_000, uploadsKeptOfModel: 1 });
      await put(own, 'm', RIGHT);
      const found = await own.find('m', NAME);
      const old = Date.now() / 1000 - 7200;
      await utimes(path.join(found?.folder ?? '', NAME), old, old);
      await files({ uploadKeepMs: 3_600_000 }).sweep();
      expect(await names()).toEqual([]);
      expect(await put(own, 'm', WRONG)).toBe(`${WRONG.length} true`);
    });
  });
});
