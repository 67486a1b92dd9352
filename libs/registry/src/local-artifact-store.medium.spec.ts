import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readdir, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { SystemClock, UuidV7Source, type IdSource } from '@sibyl/kernel';
import { CountingIds } from '@sibyl/kernel/testing';
import { LocalArtifactStore } from './local-artifact-store';
import { packageFolder } from './testing';
import { describeArtifactStore } from './testing/describe-artifact-store';
import { flipBit } from './testing/flip-bit';

let root: string;
let source: string;
let store: LocalArtifactStore;
const options = (): ConstructorParameters<typeof LocalArtifactStore>[0] => ({
  artifactFolder: root,
  artifactBytes: 10_000,
  files: 5,
});

const ids = (): IdSource => new UuidV7Source(new SystemClock());

beforeEach(async () => {
  root = await mkdtemp(path.join(os.tmpdir(), 'sibyl-store-'));
  source = await packageFolder({ files: { '1_Pooling/config.json': '{"a":1}' } });
  store = new LocalArtifactStore(options(), new CountingIds());
});
afterEach(() => rm(root, { recursive: true, force: true }));

async function stored(...files: string[]): Promise<{ digest: string; folder: string }> {
  const staged = await store.stage();
  for (const file of files) expect(await staged.take(source, file)).toBe(true);
  const digest = await store.commit(staged);
  return { digest, folder: await store.artifactFolder(digest) };
}

const damaged = {
  code: 'model_not_ready',
  cause: expect.objectContaining({ message: expect.stringContaining('artifact_corrupt') as string }) as Error,
};

describeArtifactStore(
  'the content store of this machine',
  (artifactFolder) => new LocalArtifactStore({ ...options(), artifactFolder }, ids()),
);

describe('the content store', () => {
  it.each<[string, (folder: string) => Promise<void>]>([
    ['a bit flipped in the first byte', (folder) => flipBit(path.join(folder, 'model.onnx'), 0)],
    ['a bit flipped in the last file', (folder) => flipBit(path.join(folder, '1_Pooling/config.json'), 5)],
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
    await new LocalArtifactStore(options(), new CountingIds()).start();
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
