import path from 'node:path';
import type { ApiConfig } from '../config';

const EXAMPLE =
  '{"symbol":"BTC/USDT","timestamp":"2024-01-15T10:30:00Z","features":{"price":45000.0,"volume":1000000.0,"rsi":65.5},"model_version":"latest"}';

/** What somebody who has just typed `npm start` needs: the address, where the key is, and a request that works as pasted. */
export function banner(url: string, adminKeyFile: string, { adminKey }: Pick<ApiConfig, 'adminKey'>): string {
  const file = path.relative(process.cwd(), adminKeyFile);
  const key = adminKey === undefined ? `$(cat '${file}')` : '$SIBYL_ADMIN_KEY';
  const where = adminKey === undefined ? `in ${file}` : 'in SIBYL_ADMIN_KEY';
  return `
  Sibyl is ready at ${url}
  The admin key is ${where}
  Documentation: ${url}/docs

  curl -s ${url}/predict -H "X-API-Key: ${key}" -H 'Content-Type: application/json' \\
    -d '${EXAMPLE}'

`;
}
