import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { isTrustedFolder, mayEnter, type ServerAccount } from './server-account';

/** Where root keeps what the server's own user must reach; the first one that exists or can be made safely. */
const PUBLIC_BASES = ['/var/lib/sibyl', '/var/tmp/sibyl', '/tmp/sibyl'];

/** A Unix socket's path must fit in 104 bytes on macOS and 108 on Linux, with its final zero. */
const SOCKET_PATH_BYTES = 103;

const SOCKET_NAME = '.s.PGSQL.5432';

export interface PostgresFolders {
  /** Holds the cluster of one major version: `<home>/18`. Mode 0700, of the user that runs the server. */
  readonly home: string;
  /** True when the server's user cannot reach the folder that was asked for. */
  readonly elsewhere: boolean;
}

/** Finds or makes the folder of the server, elsewhere when its user could not enter the one that was asked for. */
export function postgresFolders(folder: string, account: ServerAccount | undefined): PostgresFolders {
  mkdirSync(path.dirname(folder), { recursive: true });
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const wanted = realpathSync(folder);
  if (!account) {
    chmodSync(wanted, 0o700);
    return { home: wanted, elsewhere: false };
  }
  if (mayEnter(path.dirname(wanted), account)) {
    own(wanted, account);
    return { home: wanted, elsewhere: false };
  }
  return { home: elsewhere(wanted, account), elsewhere: true };
}

/** A root-owned folder below which the server's user can reach what is made for it. */
export function publicBase(account: ServerAccount): string {
  for (const base of PUBLIC_BASES) {
    try {
      mkdirSync(base, { mode: 0o755 });
    } catch {
      // It exists, or its parent is missing or read-only: the check below tells which.
    }
    if (isTrustedFolder(base, process.getuid?.() ?? 0) && mayEnter(base, account)) return base;
  }
  throw new Error(
    `Started as root, but the user "${account.name}" can enter none of ${PUBLIC_BASES.join(', ')}: ` +
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
function elsewhere(wanted: string, account: ServerAccount): string {
  const pointer = path.join(wanted, 'elsewhere');
  const known = existsSync(pointer) ? readFileSync(pointer, 'utf8').trim() : undefined;
  if (known !== undefined && isTrustedFolder(known, account.uid)) return known;
  const made = path.join(publicBase(account), `postgres-${randomBytes(6).toString('hex')}`);
  mkdirSync(made, { mode: 0o700 });
  own(made, account);
  writeFileSync(pointer, `${made}\n`, { mode: 0o600 });
  return made;
}

function own(folder: string, account: ServerAccount): void {
  chownSync(folder, account.uid, account.gid);
  chmodSync(folder, 0o700);
}
