import os from 'node:os';
import path from 'node:path';

/** Where setup.sh puts Feast: outside the repository, so that every copy of it finds one. */
export const FEAST = process.env.SIBYL_FEAST ?? path.join(os.homedir(), '.cache/sibyl/feast');
