import { chmodSync, existsSync, mkdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { openFolder, remove } from '../test/own-server';
import { postgresBinaries } from './postgres-binaries';

const isRoot = process.getuid?.() === 0;
const stranger = { name: 'stranger', uid: 65534, gid: 65534 };
let folder: string;
let installed: string;

/** An installation as npm leaves it when install scripts are off: without its links. */
beforeEach(() => {
  folder = openFolder('binaries');
  installed = path.join(folder, 'package/native');
  for (const part of ['bin', 'lib']) mkdirSync(path.join(installed, part), { recursive: true });
  writeFileSync(path.join(folder, 'package/package.json'), '{ "version": "0.0.0-test" }');
  writeFileSync(path.join(installed, 'bin/postgres'), '');
  writeFileSync(path.join(installed, 'lib/libx.so.1.2'), '');
  const links = [{ source: 'native/lib/libx.so.1.2', target: 'native/lib/libx.so.1' }];
  writeFileSync(path.join(installed, 'pg-symlinks.json'), JSON.stringify(links));
});

afterEach(() => {
  chmodSync(path.join(installed, 'lib'), 0o755);
  remove(folder, `/var/lib/sibyl/postgresql-0.0.0-test-${process.platform}-${process.arch}`);
});

it('makes the links that an npm archive cannot hold, in place, once', () => {
  expect(postgresBinaries(folder, undefined, installed)).toBe(installed);
  expect(readlinkSync(path.join(installed, 'lib/libx.so.1'))).toBe('libx.so.1.2');
  expect(postgresBinaries(folder, undefined, installed)).toBe(installed);
});

(isRoot ? it.skip : it)('copies a read-only installation to the home of the server', () => {
  chmodSync(path.join(installed, 'lib'), 0o555);
  const copy = postgresBinaries(folder, undefined, installed);
  expect(copy.startsWith(folder)).toBe(true);
  expect(readlinkSync(path.join(copy, 'lib/libx.so.1'))).toBe('libx.so.1.2');
  expect(postgresBinaries(folder, undefined, installed)).toBe(copy);
});

(isRoot ? it : it.skip)(
  "copies an installation that is hidden from the server's user to where that user can read it",
  () => {
    chmodSync(path.join(folder, 'package'), 0o700);
    const copy = postgresBinaries(folder, stranger, installed);
    expect(copy.startsWith(folder)).toBe(false);
    expect(existsSync(path.join(copy, 'bin/postgres'))).toBe(true);
    expect(readlinkSync(path.join(copy, 'lib/libx.so.1'))).toBe('libx.so.1.2');
    expect(postgresBinaries(folder, stranger, installed)).toBe(copy);
  },
);

it('needs no links where the package brings no list of them', () => {
  rmSync(path.join(installed, 'pg-symlinks.json'));
  expect(postgresBinaries(folder, undefined, installed)).toBe(installed);
});
