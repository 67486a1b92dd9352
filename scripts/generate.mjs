// Writes the files of the repository that are made from the code: docs/openapi.json, docs/errors.md, docs/settings.md and
// .env.example. A test compares them with what the code would write now.
import { mkdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

const root = path.resolve(import.meta.dirname, '..');
const require = createRequire(import.meta.url);
require('reflect-metadata');
require('../test/support/load-typescript.cjs');
const { generatedFiles } = require('../apps/api/src/docs/generated-files.ts');

for (const [file, text] of Object.entries(await generatedFiles())) {
  mkdirSync(path.dirname(path.join(root, file)), { recursive: true });
  writeFileSync(path.join(root, file), text);
  console.log(`wrote ${file}`);
}
