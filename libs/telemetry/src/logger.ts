import { pino, type DestinationStream, type Logger as PinoLogger } from 'pino';
import pretty from 'pino-pretty';
import { logFields } from './log-fields';
import type { TelemetryOptions } from './telemetry-options';

/** Fields first, then one sentence: `log.info({ model, loadMs }, 'model loaded')`. */
export type Logger = PinoLogger;

/** The one logger of a process: JSON lines on standard output, or lines for people in a terminal. */
export function createLogger(options: TelemetryOptions, destination?: DestinationStream): Logger {
  return pino(
    {
      level: options.logLevel,
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }), log: logFields, bindings: logFields },
    },
    options.prettyLogs ? prettyStream(destination) : (destination ?? pino.destination({ dest: 1, sync: true })),
  );
}

// In-process: a transport would be a worker thread that outlives what it should report, and loses the last lines.
function prettyStream(destination: DestinationStream | undefined): DestinationStream {
  return pretty({
    colorize: destination === undefined && process.stdout.isTTY,
    translateTime: 'SYS:HH:MM:ss.l',
    singleLine: true,
    sync: true,
    ...(destination === undefined ? {} : { destination }),
  });
}
