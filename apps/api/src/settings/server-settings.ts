import { LOG_LEVELS, type LogLevel } from '@sibyl/telemetry';
import { choice, ENVIRONMENTS, folder, text, whole, type Environment } from './setting';

const HOUR_MS = 3_600_000;

/** Where a server runs and what it keeps. */
export const PLACE = {
  environment: choice<Environment>({
    name: 'SIBYL_ENV',
    of: ENVIRONMENTS,
    fallback: 'development',
    meaning: 'How strict the defaults are. `production` refuses unsafe settings by name.',
  }),
  host: text({
    name: 'SIBYL_HOST',
    older: 'MODEL_SERVER_HOST',
    type: 'host name or address',
    pattern: /^[A-Za-z0-9.:_-]{1,253}$/,
    fallback: '127.0.0.1',
    meaning: 'Address that HTTP is served on; the container image sets `0.0.0.0`.',
  }),
  port: whole({
    name: 'SIBYL_PORT',
    older: 'MODEL_SERVER_PORT',
    min: 0,
    max: 65_535,
    fallback: 8001,
    meaning: 'Port of HTTP and WebSocket; 0 takes any free one.',
  }),
  grpcPort: whole({ name: 'SIBYL_GRPC_PORT', min: 0, max: 65_535, fallback: 8002, meaning: 'Port of gRPC.' }),
  workers: whole({
    name: 'SIBYL_WORKERS',
    older: 'MODEL_SERVER_WORKERS',
    min: 1,
    max: 64,
    fallback: 1,
    meaning:
      'Processes that share the port, each a whole server with runners of its own. More than one where one core is not enough: about half as many as there are cores.',
  }),
  dataDir: folder({
    name: 'SIBYL_DATA_DIR',
    fallback: ({ dataDir }) => dataDir,
    shown: '.sibyl',
    meaning: 'Artifacts, audit spool, keys and the embedded database; mode 0700.',
  }),
} as const;

/** How it is run. */
export const OPERATION = {
  logLevel: choice<LogLevel>({
    name: 'SIBYL_LOG_LEVEL',
    older: 'MODEL_SERVER_LOG_LEVEL',
    of: LOG_LEVELS,
    fallback: 'info',
    unsafe: (level) =>
      level === 'trace' || level === 'debug' ? `${level} tells more than a log should keep` : undefined,
    meaning: 'Least severe lines that are written.',
  }),
  drainDelayMs: whole({
    name: 'SIBYL_DRAIN_DELAY_MS',
    min: 0,
    max: HOUR_MS,
    fallback: ({ environment }) => (environment === 'production' ? 5000 : 0),
    shown: '0; 5000 in production',
    meaning: 'After SIGTERM connections are still accepted for this long, while `/ready` is already 503.',
  }),
  drainSeconds: whole({
    name: 'SIBYL_DRAIN_SECONDS',
    min: 0,
    max: 3600,
    fallback: 10,
    meaning: 'How long requests under way are then waited for.',
  }),
  operations: whole({
    name: 'SIBYL_OPERATIONS',
    min: 1,
    max: 100_000,
    fallback: 1000,
    meaning: 'Operations that a worker remembers; of the key that has most of them the oldest finished one goes first.',
  }),
} as const;
