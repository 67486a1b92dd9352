import { createLogger, type Logger } from './logger';
import { TelemetryOptions } from './telemetry-options';

/** A logger that keeps its lines, parsed, instead of writing them. */
export function capturingLogger(): { log: Logger; lines: Record<string, unknown>[] } {
  const lines: Record<string, unknown>[] = [];
  const options = new TelemetryOptions();
  options.logLevel = 'trace';
  const log = createLogger(options, { write: (line) => void lines.push(JSON.parse(line) as Record<string, unknown>) });
  return { log, lines };
}

/** A logger for tests that do not look at the log. */
export function silentLogger(): Logger {
  const options = new TelemetryOptions();
  options.logLevel = 'silent';
  return createLogger(options);
}
