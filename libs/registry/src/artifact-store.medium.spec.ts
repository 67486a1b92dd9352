import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmod,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { SystemClock, UuidV7Source } from '@sibyl/kernel';
import { CountingIds } from '@sibyl/kernel/testing';
import { ArtifactStore } from './artifact-store';
import { packageFolder } from './testing';

let root: string;
let source: string;
let store: ArtifactStore;
const options = (): ConstructorParameters<typeof ArtifactStore>[0] => ({
  artifactFolder: root,
  artifactBytes: 10_000,
  files: 5,
});

beforeEach(async () => {
  root = await mkdtemp(path.join(os.tmpdir(), 'sibyl-store-'));
  source = await packageFolder({ files: { '1_Pooling/config.json': '{"a":1}' } });
  store = new ArtifactStore(options(), new CountingIds());
});
afterEach(() => rm(root, { recursive: true, force: true }));

async function stored(...files: string[]): Promise<{ digest: string; folder: string }> {
  const staged = await store.stage();
  for (const file of files) expect(await staged.take(source, file)).toBe(true);
  const digest = await store.commit(staged);
  return { digest, folder: await store.artifactFolder(digest) };
}

/** Flips one bit of a file, whatever its rights. */
async function flip(file: string, at: number): Promise<void> {
  await chmod(file, 0o600);
  const handle = await open(file, 'r+');
  const byte = Buffer.alloc(1);
  await handle.read(byte, 0, 1, at);
  byte[0] = (byte[0] ?? 0) ^ 1;
  await handle.write(byte, 0, 1, at);
  await handle.close();
}

const damaged = {
  code: 'model_not_ready',
  cause: expect.objectContaining({ message: expect.stringContaining('artifact_corrupt') as string }) as Error,
};

describe('the content store', () => {
  it('gives back what it took, under its digest, for nobody else to read or write', async () => {
    const { digest, folder } = await stored('model.onnx', '1_Pooling/config.json');
    expect(path.basename(folder)).toBe(digest.slice('sha256:'.length));
    expect(await readFile(path.join(folder, '1_Pooling/config.json'), 'utf8')).toBe('{"a":1}');
    expect(await readFile(path.join(folder, 'model.onnx'))).toEqual(await readFile(path.join(source, 'model.onnx')));
    expect((await stat(folder)).mode & 0o777).toBe(0o700);
    expect((await stat(path.join(folder, 'model.onnx'))).mode & 0o777).toBe(0o400);
    expect(await readdir(path.join(root, 'staging'))).toEqual([]);
  });

  it('gives equal bytes one place, and what is not there no place', async () => {
    const first = await stored('model.onnx');
    expect(await stored('model.onnx')).toEqual(first);
    expect(await readdir(path.join(root, 'packages'))).toHaveLength(1);
    const unknown = `sha256:${'0'.repeat(64)}`;
    expect(await store.has(unknown)).toBe(false);
    await expect(store.artifactFolder(unknown)).rejects.toMatchObject(damaged);
    await expect(store.artifactFolder('sha256:../../etc')).rejects.toMatchObject({ code: 'internal_error' });
  });

  it('finds intact what was only touched, and what it has never looked at', async () => {
    const { digest, folder } = await stored('model.onnx');
    expect(await new ArtifactStore(options(), new UuidV7Source(new SystemClock())).recheck(digest)).toBe(folder);
    await store.artifactFolder(digest);
    await utimes(path.join(folder, 'model.onnx'), 1, 1);
    expect(await store.recheck(digest)).toBe(folder);
  });

  it('takes the same bytes from many at once, and none of them ever finds them missing', async () => {
    const others = Array.from({ length: 8 }, () => new ArtifactStore(options(), new UuidV7Source(new SystemClock())));
    const folders = await Promise.all(
      others.map(async (other) => {
        const staged = await other.stage();
        await staged.take(source, 'model.onnx');
        return other.artifactFolder(await other.commit(staged));
      }),
    );
    expect(new Set(folders).size).toBe(1);
    expect(await readdir(path.join(root, 'packages'))).toHaveLength(1);
    expect(await readdir(path.join(root, 'staging'))).toEqual([]);
  });

  it.each<[string, (folder: string) => Promise<void>]>([
    ['a bit flipped in the first byte', (folder) => flip(path.join(folder, 'model.onnx'), 0)],
    ['a bit flipped in the last file', (folder) => flip(path.join(folder, '1_Pooling/config.json'), 5)],
    [
      'a file cut short',
      async (folder) => {
        await chmod(path.join(folder, 'model.onnx'), 0o600);
        await writeFile(path.join(folder, 'model.onnx'), '');
      },
    ],
    ['a file that is gone', (folder) => rm(path.join(folder, 'model.onnx'))],
    ['a file too many', (folder) => writeFile(path.join(folder, 'weights.bin'), 'x')],
    ['a file under another name', (folder) => rename(path.join(folder, 'model.onnx'), path.join(folder, 'other.onnx'))],
    [
      'a link in place of a file',
      async (folder) => {
        await rm(path.join(folder, 'model.onnx'));
        await symlink(path.join(source, 'model.onnx'), path.join(folder, 'model.onnx'));
      },
    ],
  ])('never serves %s, and mends itself when the bytes come again', async (_, damage) => {
    const { digest, folder } = await stored('model.onnx', '1_Pooling/config.json');
    expect(await store.artifactFolder(digest)).toBe(folder);
    expect(await store.recheck(digest)).toBe(folder);
    await damage(folder);
    await expect(store.recheck(digest)).rejects.toMatchObject(damaged);
    await expect(store.artifactFolder(digest)).rejects.toMatchObject(damaged);
    expect(await stored('model.onnx', '1_Pooling/config.json')).toEqual({ digest, folder });
    expect(await readdir(path.join(root, 'staging'))).toEqual([]);
  });

  it('takes no links, devices, folders or what is missing, and no more than its limits', async () => {
    const staged = await store.stage();
    await symlink('/etc/passwd', path.join(source, 'link'));
    await mkdir(path.join(source, 'folder'));
    for (const file of ['link', 'folder'])
      await expect(staged.take(source, file)).rejects.toMatchObject({ code: 'model_rejected' });
    await symlink('/dev', path.join(source, 'dev'));
    await expect(staged.take(source, 'dev/null')).rejects.toMatchObject({ code: 'model_rejected' });
    expect(await staged.take(source, 'missing')).toBe(false);
    expect(await staged.take(source, 'model.onnx/x')).toBe(false);
    await writeFile(path.join(source, 'large'), Buffer.alloc(20_000));
    await expect(staged.take(source, 'large')).rejects.toMatchObject({
      faults: [{ received: 'more than 10000 bytes' }],
    });
    await expect(staged.take(source, 'model.onnx', '../model.onnx')).rejects.toMatchObject({ code: 'internal_error' });
    await store.abandon(staged);
    const many = await store.stage();
    for (let i = 0; i < 5; i++) await many.take(source, 'model.onnx', `copy-${i}`);
    await expect(many.take(source, 'model.onnx', 'copy-5')).rejects.toMatchObject({
      faults: [{ received: 'more than 5 files' }],
    });
    expect(await readdir(path.join(root, 'packages'))).toEqual([]);
  });

  it('waits for nobody who offers a pipe instead of a file', async () => {
    const pipe = path.join(source, 'pipe');
    const [code] = (await once(spawn('mkfifo', [pipe]), 'exit')) as [number];
    expect(code).toBe(0);
    const staged = await store.stage();
    await expect(staged.take(source, 'pipe')).rejects.toMatchObject({
      faults: [{ received: 'a device, pipe or socket' }],
    });
  });
});

describe('what a crash leaves', () => {
  const left = async (kind: string, name: string): Promise<string> => {
    const folder = path.join(root, kind, name);
    await mkdir(folder, { recursive: true });
    await writeFile(path.join(folder, 'model.onnx'), 'half');
    return folder;
  };

  it('is swept at the next start: what carries a dead process, this one, or a day of age', async () => {
    const mine = path.basename(await store.uploadFolder());
    const host = mine.split('-')[0] ?? '';
    const dead = spawn('true');
    await once(dead, 'exit');
    await left('staging', `${host}-${dead.pid}-a`);
    await left('uploads', `${host}-${process.pid}-b`);
    const old = await left('uploads', `ffffffff-1-c`);
    await utimes(old, 0, 0);
    await left('uploads', `ffffffff-1-d`);
    await left('staging', `${host}-${process.ppid}-e`);
    await new ArtifactStore(options(), new CountingIds()).start();
    expect(await readdir(path.join(root, 'staging'))).toEqual([`${host}-${process.ppid}-e`]);
    expect((await readdir(path.join(root, 'uploads'))).sort()).toEqual([mine, 'ffffffff-1-d'].sort());
  });

  it('is never half a package: one appears whole or not at all', async () => {
    const staged = await store.stage();
    await staged.take(source, 'model.onnx');
    expect(await readdir(path.join(root, 'packages'))).toEqual([]);
    await store.commit(staged);
    expect(await readdir(path.join(root, 'packages'))).toHaveLength(1);
  });

  it('does not outlive the upload it was for', async () => {
    const folder = await store.uploadFolder();
    await writeFile(path.join(folder, 'model.onnx'), 'x');
    await store.discard(folder);
    expect(await readdir(path.join(root, 'uploads'))).toEqual([]);
  });
});
