import type { LoggerService } from '@nestjs/common';
import type { Logger } from '@sibyl/telemetry';

/** Nest's own lines in the server's log. What it says at every start about its modules is for debugging. */
export class NestLog implements LoggerService {
  constructor(private readonly logger: Logger) {}

  log(message: unknown): void {
    this.logger.debug({}, String(message));
  }

  warn(message: unknown): void {
    this.logger.warn({}, String(message));
  }

  error(message: unknown): void {
    this.logger.error(
      { err: message instanceof Error ? message : undefined },
      message instanceof Error ? message.message : String(message),
    );
  }
}
