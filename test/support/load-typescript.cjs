'use strict';
// Lets plain Node require this repository's TypeScript, so that scripts need no build: compiled with SWC, kept under
// .cache/. Use: require('./load-typescript.cjs') once, then require('@sibyl/<library>') or any .ts file.
const crypto = require('node:crypto');
const fs = require('node:fs');
const Module = require('node:module');
const path = require('node:path');

const root = path.resolve(__dirname, '../..');
const cache = path.join(root, '.cache/typescript');
const options = {
  swcrc: false,
  configFile: false,
  sourceMaps: 'inline',
  module: { type: 'commonjs', importInterop: 'swc', ignoreDynamic: false },
  jsc: {
    target: 'es2023',
    keepClassNames: true,
    parser: { syntax: 'typescript', decorators: true, dynamicImport: true },
    transform: { legacyDecorator: true, decoratorMetadata: true, useDefineForClassFields: false },
  },
};
const version = [fs.readFileSync(__filename, 'utf8'), require('@swc/core/package.json').version].join('\0');

function compiled(file) {
  const source = fs.readFileSync(file, 'utf8');
  const digest = crypto.createHash('sha256').update(version).update(file).update('\0').update(source).digest('hex');
  const kept = path.join(cache, `${digest}.js`);
  if (fs.existsSync(kept)) return fs.readFileSync(kept, 'utf8');
  const { code } = require('@swc/core').transformSync(source, { ...options, filename: file });
  fs.mkdirSync(cache, { recursive: true });
  // Several runs may compile the same file at once; the rename shows each of them a whole file.
  const partial = `${kept}.${process.pid}`;
  fs.writeFileSync(partial, code);
  fs.renameSync(partial, kept);
  return code;
}

process.setSourceMapsEnabled(true);
Module._extensions['.ts'] = (module, file) => module._compile(compiled(file), file);

const resolveFilename = Module._resolveFilename;
Module._resolveFilename = function resolveSibyl(request, ...rest) {
  const [, library, door = 'index'] = /^@sibyl\/([^/]+)(?:\/(testing))?$/.exec(request) ?? [];
  const target = library === undefined ? request : path.join(root, 'libs', library, 'src', `${door}.ts`);
  return resolveFilename.call(this, target, ...rest);
};
