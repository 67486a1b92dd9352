import { setFlagsFromString } from 'node:v8';

// By default four helper threads share each minor collection, of a few megabytes here: waking and waiting for them takes
// more processor time than they save, and runners and PostgreSQL need the other cores.
setFlagsFromString('--no-parallel-scavenge');
// Where objects made at one place of the code once lived long, as while a server starts, later ones would be made among the old
// at once. Each of those keeps what it names, whole requests, until a major collection: measured, minor ones took eight times as long.
setFlagsFromString('--no-allocation-site-pretenuring');
