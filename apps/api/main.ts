import './src/collector';
import 'reflect-metadata';
import { readConfig } from './src/life';

void main();

/** A server of one process, or the primary of several, which has no use for the HTTP side. */
async function main(): Promise<void> {
  const config = readConfig();
  if (config.server.workers > 1) await (await import('./src/workers/primary.js')).servePrimary(config);
  else await (await import('./src/serve.js')).serve(config);
}
