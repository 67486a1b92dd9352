import { HOSTILE_BODIES } from './hostile/bodies';
import { CONTRADICTED, HOSTILE_DOCUMENTS } from './hostile/documents';
import { HOSTILE_GRAPHS } from './hostile/graphs';
import type { HostileFolder, HostileUpload } from './hostile/hostile-package';
import { HOSTILE_RUNS } from './hostile/runs';
import { HOSTILE_FOLDERS, HOSTILE_WEIGHTS } from './hostile/weights';
import { HOSTILE_BYTES } from './hostile/wire';

/** Every hostile package that can be uploaded. */
export const HOSTILE_UPLOADS: readonly HostileUpload[] = [
  ...HOSTILE_BYTES,
  ...HOSTILE_GRAPHS,
  ...HOSTILE_WEIGHTS,
  ...HOSTILE_DOCUMENTS,
  ...HOSTILE_BODIES,
  ...HOSTILE_RUNS,
  ...CONTRADICTED,
];

/** Those that only a folder can hold. */
export const HOSTILE_IMPORTS: readonly HostileFolder[] = HOSTILE_FOLDERS;
