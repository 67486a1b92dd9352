// Installs and builds what is missing or out of date, and does nothing when all is there. Needs only Node and npm.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const root = path.resolve(import.meta.dirname, '..');
const stamp = path.join(root, 'node_modules/.sibyl-install');

install();
const { build } = await import('./build.mjs');
process.exitCode = await build({ force: false });

function install() {
  const wanted = installDigest();
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
  if (!isInstalled()) {
    console.error('Installing dependencies.');
    try {
      execFileSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], { cwd: root, stdio: 'inherit' });
    } catch {
      console.error('The installation failed. It needs npm and, this once, the network.');
      process.exit(1);
    }
  }
  writeFileSync(stamp, wanted);
}

/** The major version of Node counts because npm chooses some packages by it. */
function installDigest() {
  const hash = createHash('sha256').update(
    `${process.versions.node.split('.')[0]} ${process.platform} ${process.arch}\0`,
  );
  return hash.update(readFileSync(path.join(root, 'package-lock.json'))).digest('hex');
}

/** True after an `npm ci` by hand: npm notes what it installed, and everything that is not optional is there. */
function isInstalled() {
  const note = path.join(root, 'node_modules/.package-lock.json');
  if (!existsSync(note) || existsSync(stamp)) return false;
  const present = JSON.parse(readFileSync(note, 'utf8')).packages;
  const wanted = JSON.parse(readFileSync(path.join(root, 'package-lock.json'), 'utf8')).packages;
  return Object.entries(wanted)
    .filter(([name]) => name !== '')
    .every(([name, { version, optional, devOptional, peer }]) =>
      present[name] ? present[name].version === version : Boolean(optional || devOptional || peer),
    );
}
