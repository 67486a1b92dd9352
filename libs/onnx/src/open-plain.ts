import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';

/** Never through a symbolic link, and never waiting for somebody to write into a pipe. */
const OPEN_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

const FAILURES: Readonly<Record<string, string>> = {
  ENOENT: 'no such file',
  ENOTDIR: 'no such file',
  ELOOP: 'a symbolic link',
  EMLINK: 'a symbolic link',
  EACCES: 'a file that may not be read',
  EPERM: 'a file that may not be read',
};

/** Opens a file for reading if it is there itself; what prevents it comes back in words without the path. */
export async function openPlain(file: string): Promise<{ handle: FileHandle } | { failure: string; cause: unknown }> {
  try {
    return { handle: await open(file, OPEN_FLAGS) };
  } catch (cause) {
    const code = typeof cause === 'object' && cause !== null && 'code' in cause ? String(cause.code) : '';
    return { failure: FAILURES[code] ?? 'something that cannot be opened', cause };
  }
}
