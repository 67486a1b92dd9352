import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { openFolder, remove } from '../test/own-server';
import { isCleanedAtBoot, postgresFolders, publicBase } from './postgres-folders';
import { serverAccount, type ServerAccount } from './server-account';

const uid = process.getuid!();
const asRoot = uid === 0 ? it : it.skip;
let folder: string;
let wanted: string;
/** Where a first start put the database. */
let known: string;
let pointer: string;
/** Of the server: what root gives it, or the user of the tests himself. */
let account: ServerAccount | undefined;

beforeEach(() => {
  folder = openFolder('folders');
  wanted = path.join(folder, 'data/postgres');
  known = path.join(folder, 'known');
  pointer = path.join(wanted, 'elsewhere');
  account = serverAccount();
  mkdirSync(wanted, { recursive: true });
  chmodSync(path.join(folder, 'data'), 0o755);
});

afterEach(() => remove(folder));

function pointTo(place: string): void {
  writeFileSync(pointer, `${place}\n`);
}

function makeKnown(mode = 0o700): void {
  mkdirSync(known, { mode });
  if (account) chownSync(known, account.uid, account.gid);
}

function refusal(): string {
  try {
    return `no refusal, but ${postgresFolders(wanted, account).home}`;
  } catch (error) {
    return (error as Error).message;
  }
}

describe('a data folder whose database lies elsewhere', () => {
  it('is served from there, though its own folder may be entered', () => {
    makeKnown();
    pointTo(known);
    expect(postgresFolders(wanted, account)).toEqual({ home: known, elsewhere: true });
  });

  it('is refused when the database is gone, and keeps the file that names it', () => {
    pointTo(known);
    expect(refusal()).toMatch(`"${known}"`);
    expect(refusal()).toMatch(/is missing.*[Rr]estore.*remove the file/);
    expect(refusal()).toContain(pointer);
    expect(readFileSync(pointer, 'utf8')).toBe(`${known}\n`);
    expect(readdirSync(wanted)).toEqual(['elsewhere']);
  });

  it('is refused when others may write to the database', () => {
    makeKnown();
    chmodSync(known, 0o777);
    pointTo(known);
    expect(refusal()).toMatch(`"${known}"`);
    expect(refusal()).toMatch(/can be changed by others/);
  });

  asRoot('is refused when the database belongs to another user', () => {
    makeKnown();
    chownSync(known, uid, 0);
    pointTo(known);
    expect(refusal()).toMatch(/does not belong to the user/);
  });

  it.each(['', 'known', '../known'])('is refused when the file names no whole path: "%s"', (text) => {
    makeKnown();
    pointTo(text);
    expect(refusal()).toMatch(/is not the whole path of a folder/);
  });
});

describe('a data folder that the user of the server cannot enter', () => {
  let bases: string[];

  beforeEach(() => {
    chmodSync(path.join(folder, 'data'), 0o700);
    bases = [path.join(folder, 'missing/base'), path.join(folder, 'base')];
  });

  asRoot('gets a database elsewhere once, and names it', () => {
    const first = postgresFolders(wanted, account, bases);
    expect(path.dirname(first.home)).toBe(bases[1]);
    expect(statSync(first.home)).toMatchObject({ uid: account!.uid, mode: 0o040700 });
    expect(readFileSync(pointer, 'utf8')).toBe(`${first.home}\n`);
    expect(postgresFolders(wanted, account, bases)).toEqual(first);
    expect(readdirSync(bases[1]!)).toHaveLength(1);
  });

  asRoot('is refused when it holds a database that was reachable before', () => {
    mkdirSync(path.join(wanted, '18'));
    writeFileSync(path.join(wanted, '18/PG_VERSION'), '18\n');
    expect(() => postgresFolders(wanted, account, bases)).toThrow(`"${wanted}" holds a database`);
    expect(existsSync(pointer)).toBe(false);
  });
});

asRoot('makes a base that the user of the server can enter, whatever the umask', () => {
  const base = path.join(folder, 'base');
  const before = process.umask(0o077);
  try {
    expect(publicBase(account!, [base])).toBe(base);
  } finally {
    process.umask(before);
  }
});

it('knows the folders that a machine cleans when it starts', () => {
  expect(['/tmp/sibyl/a', '/var/tmp/sibyl/a'].every(isCleanedAtBoot)).toBe(true);
  expect(['/var/lib/sibyl/a', '/srv/sibyl/a', '/tmpfiles/a'].some(isCleanedAtBoot)).toBe(false);
});
