import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { openFolder, remove } from '../test/own-server';
import { isTrustedFolder, mayEnter, serverAccount } from './server-account';

let folder: string;
const uid = process.getuid!();

beforeEach(() => {
  folder = openFolder('account');
});

afterEach(() => remove(folder));

function passwd(...lines: string[]): string {
  const file = path.join(folder, 'passwd');
  writeFileSync(file, `${lines.join('\n')}\n`);
  return file;
}

const nobody = 'nobody:x:65534:65534::/nonexistent:/usr/sbin/nologin';
const postgres = 'postgres:x:101:104::/var/lib/postgresql:/bin/bash';

it('an ordinary user runs the server as himself', () => {
  expect(serverAccount(passwd(nobody), false)).toBeUndefined();
});

it('root runs it as "postgres" where that user exists, else as "nobody"', () => {
  expect(serverAccount(passwd(nobody, postgres), true)).toEqual({ name: 'postgres', uid: 101, gid: 104 });
  expect(serverAccount(passwd(nobody, 'postgresql:x:1:1::/:'), true)).toEqual({
    name: 'nobody',
    uid: 65534,
    gid: 65534,
  });
});

it('root on a machine with neither user is told why the server cannot start', () => {
  expect(() => serverAccount(passwd('root:x:0:0::/root:/bin/sh'), true)).toThrow('refuses to run as root');
});

it('an account may enter a folder when it may enter every folder above it', () => {
  const stranger = { name: 'stranger', uid: uid + 1, gid: process.getgid!() + 1 };
  const inner = path.join(folder, 'outer/inner');
  mkdirSync(inner, { recursive: true });
  expect(mayEnter(inner, stranger)).toBe(true);
  chmodSync(path.join(folder, 'outer'), 0o700);
  expect(mayEnter(inner, stranger)).toBe(false);
  expect(mayEnter(inner, { ...stranger, uid })).toBe(true);
  chmodSync(path.join(folder, 'outer'), 0o710);
  expect(mayEnter(inner, { ...stranger, gid: process.getgid!() })).toBe(true);
  expect(mayEnter(inner, stranger)).toBe(false);
});

it('trusts only a real folder that nobody but its owner can write to', () => {
  expect(isTrustedFolder(folder, uid)).toBe(true);
  expect(isTrustedFolder(folder, uid + 1)).toBe(false);
  expect(isTrustedFolder(path.join(folder, 'missing'), uid)).toBe(false);
  symlinkSync(folder, path.join(folder, 'link'));
  expect(isTrustedFolder(path.join(folder, 'link'), uid)).toBe(false);
  chmodSync(folder, 0o777);
  expect(isTrustedFolder(folder, uid)).toBe(false);
});
