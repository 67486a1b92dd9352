import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { type IdSource, ownerOf, processMark } from '@sibyl/kernel';
import { ignoreMissing } from './package-files';

/** A folder this old was left by a process that is gone, whatever its name says; no upload or copy takes a day. */
const LEFT_BEHIND_MS = 24 * 3_600_000;

/** What this process has made and not removed yet, whichever object did. */
const OWN = new Set<string>();

/** Folders for work that is not finished. Their names say which process made them, so that others know what a crash left. */
export class TemporaryFolders {
  constructor(
    private readonly root: string,
    private readonly ids: IdSource,
  ) {}

  async make(): Promise<string> {
    const folder = path.join(this.root, `${processMark()}-${this.ids.next()}`);
    // Before it is there: a sweep that sees it must know whose it is.
    OWN.add(folder);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    return folder;
  }

  async remove(folder: string): Promise<void> {
    OWN.delete(folder);
    await rm(folder, { recursive: true, force: true });
  }

  /** Removes what processes that are gone have left; folders of living processes stay. */
  async sweep(): Promise<number> {
    let removed = 0;
    for (const name of await readdir(this.root)) {
      const folder = path.join(this.root, name);
      const stats = await stat(folder).catch((error: unknown) => ignoreMissing(error));
      if (!stats || OWN.has(folder)) continue;
      if (Date.now() - stats.mtimeMs < LEFT_BEHIND_MS && ownerOf(name) !== 'gone') continue;
      await rm(folder, { recursive: true, force: true });
      removed++;
    }
    return removed;
  }
}
