import { join } from 'node:path';
import { quote, type FaultList } from './fault-list';
import type { ExternalNeed } from './model-facts';
import { openPlain } from './open-plain';

/**
 * External data must be ordinary files of the package: a link, symbolic or hard, would let a model answer with the
 * content of any file that the server can read. Names were checked before, so nothing leaves the folder.
 */
export async function checkExternalFiles(
  folder: string,
  needs: ReadonlyMap<string, ExternalNeed>,
  faults: FaultList,
): Promise<void> {
  for (const [name, { pointer, end }] of needs) {
    const problem = await problemOf(join(folder, name), end);
    if (problem === undefined) continue;
    faults.add({
      pointer,
      expected: 'external data in a regular file of the package, large enough and without links',
      received: `${quote(name)}: ${problem}`,
    });
  }
}

async function problemOf(file: string, end: number): Promise<string | undefined> {
  const opened = await openPlain(file);
  if ('failure' in opened) return opened.failure;
  const { handle } = opened;
  try {
    const stat = await handle.stat();
    if (!stat.isFile()) return 'not a regular file';
    if (stat.nlink !== 1) return 'a hard link';
    return stat.size < end ? `${stat.size} bytes where the model reads up to byte ${end}` : undefined;
  } finally {
    await handle.close();
  }
}
