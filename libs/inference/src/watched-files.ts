import { stat } from 'node:fs/promises';

/** Files as they were when they were checked: what tells, without reading them again, whether anybody has touched them. */
export class WatchedFiles {
  private constructor(
    private readonly paths: readonly string[],
    private readonly marks: string,
  ) {}

  static async of(paths: readonly string[]): Promise<WatchedFiles> {
    return new WatchedFiles(paths, await marksOf(paths));
  }

  async unchanged(): Promise<boolean> {
    return marksOf(this.paths).then(
      (marks) => marks === this.marks,
      () => false,
    );
  }
}

/** The time of the last change of an inode cannot be set back by whoever may write to the file. */
async function marksOf(paths: readonly string[]): Promise<string> {
  const stats = await Promise.all(paths.map((path) => stat(path, { bigint: true })));
  return stats.map(({ dev, ino, size, mtimeNs, ctimeNs }) => [dev, ino, size, mtimeNs, ctimeNs].join('-')).join();
}
