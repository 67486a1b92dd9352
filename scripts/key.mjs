// Prints one new, well-formed API key and nothing else: for SIBYL_ADMIN_KEY. It becomes valid when a server is started with it.
import { createRequire } from 'node:module';

const { newKeyText } = createRequire(import.meta.url)('../dist/libs/auth/src/key-text.js');
process.stdout.write(`${newKeyText()}\n`);
