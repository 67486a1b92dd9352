// A file system of a few megabytes in the place of a folder, to be filled up. Mounting one needs root.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

const BLOCK = Buffer.alloc(64 * 1024, 0x66);

const mounted = new Set();

function mount(folder, mebibytes) {
  const done = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${mebibytes}m,mode=0700`, 'sibyl-drill', folder], {
    encoding: 'utf8',
  });
  if (done.status !== 0) return false;
  mounted.add(folder);
  return true;
}

/** Puts a small file system of its own under a folder and brings its files there; false where that is not allowed. */
export function moveToSmallDisk(folder, mebibytes) {
  const aside = `${folder}.aside`;
  fs.renameSync(folder, aside);
  fs.mkdirSync(folder, { mode: 0o700 });
  if (!mount(folder, mebibytes)) {
    fs.rmdirSync(folder);
    fs.renameSync(aside, folder);
    return false;
  }
  fs.cpSync(aside, folder, { recursive: true, preserveTimestamps: true });
  fs.rmSync(aside, { recursive: true });
  return true;
}

/** Takes all room but so many bytes; answers the file that takes it. */
export function fillUp(folder, leave = 0) {
  const file = path.join(folder, 'filler');
  const fd = fs.openSync(file, 'a');
  try {
    for (;;) fs.writeSync(fd, BLOCK);
  } catch (error) {
    if (error.code !== 'ENOSPC') throw error;
    fs.ftruncateSync(fd, Math.max(0, fs.fstatSync(fd).size - Math.ceil(leave)));
  } finally {
    fs.closeSync(fd);
  }
  return file;
}

export function unmountAll() {
  for (const folder of mounted) if (spawnSync('umount', [folder]).status === 0) mounted.delete(folder);
}
