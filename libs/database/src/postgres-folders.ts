import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { syncFolder } from '@sibyl/kernel';
import { isTrustedFolder, mayEnter, type ServerAccount } from './server-account';

/** Where root keeps what the server's own user must reach; the first one that exists or can be made safely. */
const PUBLIC_BASES = ['/var/lib/sibyl', '/srv/sibyl', '/opt/sibyl', '/var/tmp/sibyl', '/tmp/sibyl'];

/** Many machines empty these when they start: last resorts, and never without a warning. */
const CLEANED_AT_BOOT = ['/var/tmp/', '/tmp/'];

/** A Unix socket's path must fit in 104 bytes on macOS and 108 on Linux, with its final zero. */
const SOCKET_PATH_BYTES = 103;

const SOCKET_NAME = '.s.PGSQL.5432';

/** In the data folder: names where its database lies, if not there. */
const POINTER = 'elsewhere';

export interface PostgresFolders {
  /** Holds the cluster of one major version: `<home>/18`. Mode 0700, of the user that runs the server. */
  readonly home: string;
  /** True when the server's user could not reach the folder that was asked for when the database was made. */
  readonly elsewhere: boolean;
}

/** Finds or makes the folder of the server, elsewhere when its user could not enter the one that was asked for. */
export function postgresFolders(
  folder: string,
  account: ServerAccount | undefined,
  bases: readonly string[] = PUBLIC_BASES,
): PostgresFolders {
  mkdirSync(path.dirname(folder), { recursive: true });
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const wanted = realpathSync(folder);
  const pointer = path.join(wanted, POINTER);
  // First of all: a database that exists must never give way to a new one, whoever starts and whatever he may enter.
  if (existsSync(pointer)) return { home: namedFolder(pointer, account), elsewhere: true };
  if (!account) {
    chmodSync(wanted, 0o700);
    return { home: wanted, elsewhere: false };
  }
  if (mayEnter(path.dirname(wanted), account)) {
    own(wanted, account);
    return { home: wanted, elsewhere: false };
  }
  refuseUnreachable(wanted, account);
  return { home: makeElsewhere(pointer, account, publicBase(account, bases)), elsewhere: true };
}

/** Whether what lies in the folder may be gone after the machine has started again. */
export function isCleanedAtBoot(folder: string): boolean {
  return CLEANED_AT_BOOT.some((base) => folder.startsWith(base));
}

/** A root-owned folder below which the server's user can reach what is made for it. */
export function publicBase(account: ServerAccount, bases: readonly string[] = PUBLIC_BASES): string {
  for (const base of bases) {
    try {
      mkdirSync(base);
      // Not by the mode of mkdir, from which a strict umask would take the right to enter.
      chmodSync(base, 0o755);
    } catch {
      // It exists, or its parent is missing or read-only: the check below tells which.
    }
    if (isTrustedFolder(base, process.getuid?.() ?? 0) && mayEnter(base, account)) return base;
  }
  throw new Error(
    `Started as root, but the user "${account.name}" can enter none of ${bases.join(', ')}: ` +
      'start as an ordinary user, or set DATABASE_URL',
  );
}

/** The folder of the server's socket: its cluster, unless that path is too long for a socket. */
export function socketFolder(
  cluster: string,
  previous: string | undefined,
  account: ServerAccount | undefined,
): string {
  if (Buffer.byteLength(path.join(cluster, SOCKET_NAME)) <= SOCKET_PATH_BYTES) return cluster;
  const uid = account?.uid ?? process.getuid?.() ?? 0;
  if (previous !== undefined && isTrustedFolder(previous, uid)) return previous;
  const bases = account ? [publicBase(account)] : [os.tmpdir(), '/tmp'];
  const base = bases.find(
    (name) => Buffer.byteLength(path.join(name, 'socket-XXXXXX', SOCKET_NAME)) <= SOCKET_PATH_BYTES,
  );
  // An unguessable new folder, since others may write where it lies.
  const made = mkdtempSync(path.join(base ?? '/tmp', 'socket-'));
  if (account) own(made, account);
  return made;
}

/** Removes a socket folder that `socketFolder` made outside the cluster. */
export function removeSocketFolder(folder: string, cluster: string): void {
  if (folder !== cluster && path.basename(folder).startsWith('socket-'))
    rmSync(folder, { recursive: true, force: true });
}

/** The data folder names its database's place, so that a removed or moved data folder never meets a stranger's database. */
function makeElsewhere(pointer: string, account: ServerAccount, base: string): string {
  const made = path.join(base, `postgres-${randomBytes(6).toString('hex')}`);
  mkdirSync(made, { mode: 0o700 });
  try {
    own(made, account);
    // Durable before the database is: a name lost with the power would leave it behind, and make a new one.
    writeFileSync(pointer, `${made}\n`, { mode: 0o600, flag: 'wx', flush: true });
    syncFolder(path.dirname(pointer));
    return made;
  } catch (error) {
    rmSync(made, { recursive: true, force: true });
    // Another process was faster, and its database is the one.
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return namedFolder(pointer, account);
    throw error;
  }
}

/** What the pointer names, or a refusal: nobody but the operator knows whether a lost database may be given up. */
function namedFolder(pointer: string, account: ServerAccount | undefined): string {
  const named = readFileSync(pointer, 'utf8').trim();
  const reason = distrust(named, account);
  if (reason === undefined) return named;
  throw new Error(
    `The file "${pointer}" says that the database lies in "${named}", which ${reason}. Restore that folder with its ` +
      'owner and mode; or, to begin with a new and empty database, remove the file and start again',
  );
}

function distrust(named: string, account: ServerAccount | undefined): string | undefined {
  const uid = account?.uid ?? process.getuid?.() ?? 0;
  if (!path.isAbsolute(named)) return 'is not the whole path of a folder';
  if (isTrustedFolder(named, uid)) return undefined;
  const found = lstatSync(named, { throwIfNoEntry: false });
  if (!found) return 'is missing';
  if (!found.isDirectory()) return 'is not a folder';
  if (found.uid !== uid) return `does not belong to the user "${account?.name ?? os.userInfo().username}"`;
  return 'can be changed by others';
}

/** A data folder that was closed after its database was made. */
function refuseUnreachable(wanted: string, account: ServerAccount): void {
  const clusters = readdirSync(wanted).filter((name) => /^\d+$/.test(name));
  if (!clusters.some((name) => existsSync(path.join(wanted, name, 'PG_VERSION')))) return;
  throw new Error(
    `The folder "${wanted}" holds a database, but the user "${account.name}" that PostgreSQL runs as can no longer ` +
      'enter it: let that user enter the folders above it, or start Sibyl as the user that made it',
  );
}

function own(folder: string, account: ServerAccount): void {
  chownSync(folder, account.uid, account.gid);
  chmodSync(folder, 0o700);
}
