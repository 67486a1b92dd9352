import { setFlagsFromString } from 'node:v8';
import 'reflect-metadata';
import { serve } from './src/serve';

// By default four helper threads share each minor collection, of a few megabytes here: waking and waiting for them takes
// more processor time than they save, and runners and PostgreSQL need the other cores.
setFlagsFromString('--no-parallel-scavenge');

void serve();
