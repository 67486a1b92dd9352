/** Where the runtime reports what operators should know; a pino logger is one. */
export interface InferenceLog {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}
