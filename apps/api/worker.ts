import { setFlagsFromString } from 'node:v8';
import 'reflect-metadata';
import { serveAsWorker } from './src/serve';

// As in main.ts, which has the reason.
setFlagsFromString('--no-parallel-scavenge');

void serveAsWorker();
