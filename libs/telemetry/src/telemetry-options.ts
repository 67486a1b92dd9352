import { IsBoolean, IsIn } from 'class-validator';

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** How the server speaks about itself. */
export class TelemetryOptions {
  /** Requests are logged at `debug`, so that `info` stays readable under load. */
  @IsIn(LOG_LEVELS)
  logLevel: LogLevel = 'info';

  /** Lines for people instead of JSON; for a terminal in development only, because formatting costs more than logging. */
  @IsBoolean()
  prettyLogs = false;
}
