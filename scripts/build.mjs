// Builds both programs into dist/. With --if-changed nothing is done while the sources are those of the last build.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const root = path.resolve(import.meta.dirname, '..');
const dist = path.join(root, 'dist');
const stamp = path.join(dist, '.sibyl-build');
const PROGRAMS = ['api', 'runner'];
const SETTINGS = ['tsconfig.json', 'nest-cli.json', 'package.json', 'package-lock.json'];

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  process.exitCode = await build({ force: !process.argv.includes('--if-changed') });
}

/** Resolves to the exit code. */
export async function build({ force }) {
  const sources = sourceFiles();
  const digest = digestOf([...SETTINGS, ...sources]);
  if (!force && existsSync(stamp) && readFileSync(stamp, 'utf8') === digest) return 0;
  console.error('Building.');
  rmSync(stamp, { force: true });
  const codes = await Promise.all(PROGRAMS.map(buildProgram));
  if (codes.some((code) => code !== 0)) return 1;
  copyAssets(sources);
  removeOrphans(new Set(sources));
  writeFileSync(stamp, digest);
  return 0;
}

/** Everything that ends up in dist, relative to the root: sources without tests, and the files that they read. */
function sourceFiles() {
  return ['apps', 'libs']
    .flatMap((folder) => filesBelow(folder))
    .filter((file) => !/\.(spec|bench)\.ts$|README\.md$/.test(file))
    .sort();
}

function filesBelow(folder) {
  const absolute = path.join(root, folder);
  if (!existsSync(absolute)) return [];
  return readdirSync(absolute, { withFileTypes: true }).flatMap((entry) => {
    const name = path.posix.join(folder, entry.name);
    return entry.isDirectory() ? filesBelow(name) : [name];
  });
}

function digestOf(files) {
  const hash = createHash('sha256').update(process.version);
  for (const file of files) hash.update(`\0${file}\0`).update(readFileSync(path.join(root, file)));
  return hash.digest('hex');
}

function buildProgram(name) {
  const nest = path.join(root, 'node_modules/@nestjs/cli/bin/nest.js');
  const child = spawn(process.execPath, [nest, 'build', name], { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
  return new Promise((resolve) => child.once('exit', (code) => resolve(code ?? 1)).once('error', () => resolve(1)));
}

/** What the code reads at run time and the compiler does not copy. */
function copyAssets(sources) {
  for (const file of sources.filter((name) => !/\.ts$|tsconfig[^/]*\.json$|^libs\/[^/]+\/test\//.test(name))) {
    const target = path.join(dist, file);
    mkdirSync(path.dirname(target), { recursive: true });
    cpSync(path.join(root, file), target);
  }
}

/** A module whose source is gone could still be required by mistake. */
function removeOrphans(sources) {
  for (const folder of ['apps', 'libs']) {
    for (const file of filesBelow(`dist/${folder}`)) {
      const source = file.slice('dist/'.length);
      const origin = source.replace(/\.(js|js\.map|d\.ts)$/, '.ts');
      if (!sources.has(source) && !sources.has(origin)) rmSync(path.join(root, file));
    }
  }
}
