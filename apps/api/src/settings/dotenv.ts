import { readFileSync } from 'node:fs';
import path from 'node:path';
import { parseEnv } from 'node:util';
import type { Variables } from './read-settings';

/** The environment, and beneath it the file `.env` of a folder, if there is one. */
export function withDotenv(environment: Variables, folder: string): Variables {
  return { ...readDotenv(path.join(folder, '.env')), ...environment };
}

function readDotenv(file: string): Variables {
  try {
    return parseEnv(readFileSync(file, 'utf8')) as Variables;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {};
    throw error;
  }
}
