import { createHash } from 'node:crypto';
import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { ignoreMissing } from './package-files';

const ENTRIES_MAX = 20_000;

/**
 * What lies in a folder, without reading it: names, sizes and times of change, which nobody can set back. Undefined where there
 * is no folder, or more in it than a package has.
 */
export async function folderFingerprint(folder: string): Promise<string | undefined> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch((error: unknown) =>
    ignoreMissing(error),
  );
  if (!entries || entries.length > ENTRIES_MAX) return undefined;
  const lines: string[] = [];
  for (const entry of entries) {
    if (entry.isDirectory()) continue;
    const file = path.join(entry.parentPath, entry.name);
    const stats = await stat(file, { bigint: true }).catch((error: unknown) => ignoreMissing(error));
    lines.push(
      `${path.relative(folder, file)}\0${stats?.size ?? ''}\0${stats?.ino ?? ''}\0${stats?.mtimeNs ?? ''}\0${stats?.ctimeNs ?? ''}\n`,
    );
  }
  return createHash('sha256').update(lines.sort().join('')).digest('hex');
}
