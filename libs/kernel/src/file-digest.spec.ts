import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { getPriority, tmpdir } from 'node:os';
import path from 'node:path';
import { digestFile } from './file-digest';

const folder = mkdtempSync(path.join(tmpdir(), 'sibyl-digest-'));
const handles: FileHandle[] = [];
afterEach(async () => {
  for (const handle of handles.splice(0)) await handle.close();
});
afterAll(() => rmSync(folder, { recursive: true }));

async function opened(name: string, flags: string, bytes?: Uint8Array): Promise<FileHandle> {
  const file = path.join(folder, name);
  if (bytes !== undefined) writeFileSync(file, bytes);
  const handle = await open(file, flags);
  handles.push(handle);
  return handle;
}

const MIB = 1024 * 1024;

describe('digestFile', () => {
  it.each([
    ['nothing', 0],
    ['a small file', 1000],
    ['a file of several chunks', 3 * MIB + 1],
    ['a large file', 20 * MIB + 7],
  ])('of %s is its SHA-256, and the copy is the same', async (_, size) => {
    const bytes = Buffer.alloc(size, 'some bytes ');
    const source = await opened('source', 'r', bytes);
    const expected = { sha256: createHash('sha256').update(bytes).digest('hex'), bytes: size };
    expect(await digestFile(source)).toEqual(expected);
    expect(await digestFile(source, { copyTo: await opened('copy', 'w') })).toEqual(expected);
    expect(readFileSync(path.join(folder, 'copy')).equals(bytes)).toBe(true);
    expect(getPriority()).toBe(0);
  });

  it.each([2 * MIB, 20 * MIB])('stops where %i bytes are too many', async (size) => {
    const source = await opened('source', 'r', Buffer.alloc(size));
    const limitBytes = size - MIB / 2;
    const { bytes } = await digestFile(source, { copyTo: await opened('copy', 'w'), limitBytes });
    expect(bytes).toBeGreaterThan(limitBytes);
    expect(readFileSync(path.join(folder, 'copy')).length).toBeLessThanOrEqual(limitBytes);
  });

  it.each([1000, 20 * MIB])('fails where a copy of %i bytes cannot be written', async (size) => {
    const source = await opened('source', 'r', Buffer.alloc(size, 'x'));
    await expect(digestFile(source, { copyTo: source })).rejects.toMatchObject({ code: 'EBADF' });
  });
});
