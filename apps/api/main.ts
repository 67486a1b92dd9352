import { setFlagsFromString } from 'node:v8';
import 'reflect-metadata';
import { readConfig } from './src/life';

// By default four helper threads share each minor collection, of a few megabytes here: waking and waiting for them takes
// more processor time than they save, and runners and PostgreSQL need the other cores.
setFlagsFromString('--no-parallel-scavenge');

void main();

/** A server of one process, or the primary of several, which has no use for the HTTP side. */
async function main(): Promise<void> {
  const config = readConfig();
  if (config.server.workers > 1) await (await import('./src/workers/primary.js')).servePrimary(config);
  else await (await import('./src/serve.js')).serve(config);
}
