import { lstatSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';

/** The user that PostgreSQL runs as when Sibyl itself is root, which PostgreSQL refuses to be. */
export interface ServerAccount {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/** `undefined` for an ordinary user, who runs PostgreSQL as himself. */
export function serverAccount(
  passwdFile = '/etc/passwd',
  isRoot = process.getuid?.() === 0,
): ServerAccount | undefined {
  if (!isRoot) return undefined;
  const lines = readFileSync(passwdFile, 'utf8').split('\n');
  for (const name of ['postgres', 'nobody']) {
    const [, , uid, gid] = lines.find((line) => line.startsWith(`${name}:`))?.split(':') ?? [];
    if (uid !== undefined && gid !== undefined) return { name, uid: Number(uid), gid: Number(gid) };
  }
  throw new Error('PostgreSQL refuses to run as root, and this machine has neither a user "postgres" nor "nobody"');
}

/** Whether the account can walk into the folder: one closed parent shuts everything below it. */
export function mayEnter(folder: string, account: ServerAccount): boolean {
  for (let step = path.resolve(folder); ; step = path.dirname(step)) {
    if (!maySearch(step, account)) return false;
    if (step === path.dirname(step)) return true;
  }
}

/** Whether only its owner can change what lies in the folder, so that nobody else can have put something there. */
export function isTrustedFolder(folder: string, uid: number): boolean {
  const found = lstatSync(folder, { throwIfNoEntry: false });
  return found !== undefined && found.isDirectory() && found.uid === uid && (found.mode & 0o022) === 0;
}

function maySearch(folder: string, account: ServerAccount): boolean {
  const { mode, uid, gid } = statSync(folder);
  if (uid === account.uid) return (mode & 0o100) !== 0;
  if (gid === account.gid) return (mode & 0o010) !== 0;
  return (mode & 0o001) !== 0;
}
