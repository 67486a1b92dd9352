// Signs a model folder by OpenSSF Model Signing v1.0: writes <folder>/model.sig, which Sibyl and `model_signing verify key` verify.
//   node scripts/sign-model.mjs <folder> --key <private key in PEM>
// The password of an encrypted key is read from SIGNING_KEY_PASSWORD, so that it is in no list of processes.
import { createPrivateKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { parseArgs } from 'node:util';

const require = createRequire(import.meta.url);
const { atomicWriteFile } = require('../dist/libs/kernel/src/files.js');
const { signFolder } = require('../dist/libs/registry/src/signing/sign-folder.js');

const { values, positionals } = parseArgs({ allowPositionals: true, options: { key: { type: 'string' } } });
const [folder] = positionals;
if (folder === undefined || positionals.length > 1 || values.key === undefined) {
  console.error('usage: node scripts/sign-model.mjs <folder> --key <private key in PEM>');
  process.exit(2);
}

try {
  const key = createPrivateKey({ key: readFileSync(values.key), passphrase: process.env.SIGNING_KEY_PASSWORD });
  const file = path.join(folder, 'model.sig');
  atomicWriteFile(file, await signFolder(folder, key), 0o644);
  console.log(`signed: ${file}`);
} catch (error) {
  const faults = (error.faults ?? []).map(({ pointer, received }) => `\n  ${pointer}: ${received}`);
  console.error(`not signed: ${error.message}${faults.join('')}`);
  process.exit(1);
}
