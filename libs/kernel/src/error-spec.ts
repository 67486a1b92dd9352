/** What kind of failure a code is; transport-neutral, `apps/` maps them. */
export type ErrorKind =
  | 'invalid_argument'
  | 'unauthenticated'
  | 'permission_denied'
  | 'not_found'
  | 'method_not_allowed'
  | 'not_acceptable'
  | 'request_timeout'
  | 'conflict'
  | 'precondition_failed'
  | 'too_large'
  | 'unsupported_media'
  | 'unprocessable'
  | 'precondition_required'
  | 'resource_exhausted'
  | 'headers_too_large'
  | 'internal'
  | 'unavailable'
  | 'deadline_exceeded';

/** One row of the table of error codes. */
export interface ErrorSpec {
  readonly kind: ErrorKind;
  readonly title: string;
  /** What happened and what the caller can do, for docs/errors.md. */
  readonly help: string;
}
