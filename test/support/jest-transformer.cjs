'use strict';
// TypeScript becomes CommonJS, and so do packages that exist as ES modules only; CommonJS packages pass untouched.
const crypto = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const swc = require('@swc/core');

const kinds = new Map();

function packageKind(folder) {
  const known = kinds.get(folder);
  if (known) return known;
  let kind;
  try {
    kind = JSON.parse(fs.readFileSync(path.join(folder, 'package.json'), 'utf8')).type ?? 'commonjs';
  } catch {
    const parent = path.dirname(folder);
    kind = parent === folder ? 'commonjs' : packageKind(parent);
  }
  kinds.set(folder, kind);
  return kind;
}

const isTypeScript = (file) => /\.[cm]?tsx?$/.test(file);
const isEsModule = (file) =>
  file.endsWith('.mjs') || (file.endsWith('.js') && packageKind(path.dirname(file)) === 'module');
const version = crypto
  .createHash('sha256')
  .update(fs.readFileSync(__filename))
  .update(require('@swc/core/package.json').version)
  .digest('hex');

function options(file) {
  const typescript = isTypeScript(file);
  return {
    filename: file,
    swcrc: false,
    configFile: false,
    sourceMaps: typescript ? 'inline' : false,
    inlineSourcesContent: true,
    module: { type: 'commonjs', importInterop: 'swc', ignoreDynamic: false },
    jsc: {
      target: 'es2023',
      keepClassNames: true,
      parser: typescript ? { syntax: 'typescript', decorators: true, dynamicImport: true } : { syntax: 'ecmascript' },
      transform: typescript
        ? { legacyDecorator: true, decoratorMetadata: true, useDefineForClassFields: false, hidden: { jest: true } }
        : {},
    },
  };
}

module.exports = {
  canInstrument: false,
  getCacheKey: (source, file, { configString }) =>
    crypto
      .createHash('sha256')
      .update(version)
      .update(file)
      .update('\0')
      .update(source)
      .update(configString ?? '')
      .digest('hex'),
  process(source, file) {
    if (!isTypeScript(file) && !isEsModule(file)) return { code: source };
    return swc.transformSync(source, options(file));
  },
};
