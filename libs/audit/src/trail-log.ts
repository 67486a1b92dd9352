/** Where the trail says what happened to it; pino's signature, so that the server's logger fits as it is. */
export interface TrailLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}
