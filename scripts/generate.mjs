// Writes the files of the repository that are made from the code. `npm run generate` builds first.
import { createRequire } from 'node:module';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const require = createRequire(import.meta.url);
require('reflect-metadata');
const { generatedFiles } = require(path.join(root, 'dist/apps/api/src/docs/generated-files.js'));

for (const [file, text] of Object.entries(await generatedFiles())) {
  await mkdir(path.dirname(path.join(root, file)), { recursive: true });
  await writeFile(path.join(root, file), text);
  console.log(`wrote ${file}`);
}
