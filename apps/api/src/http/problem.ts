import { allowsModel, type KeyRights } from '@sibyl/auth';
import { DomainError, errorSpec, type ErrorCode, type ErrorKind } from '@sibyl/kernel';

/** The only place that knows which status a kind of failure has. */
const STATUS_OF_KIND: Readonly<Record<ErrorKind, number>> = {
  invalid_argument: 400,
  unauthenticated: 401,
  permission_denied: 403,
  not_found: 404,
  method_not_allowed: 405,
  not_acceptable: 406,
  request_timeout: 408,
  conflict: 409,
  precondition_failed: 412,
  too_large: 413,
  unsupported_media: 415,
  unprocessable: 422,
  precondition_required: 428,
  resource_exhausted: 429,
  headers_too_large: 431,
  internal: 500,
  unavailable: 503,
  deadline_exceeded: 504,
};

const PROBLEM_TYPE = 'application/problem+json; charset=utf-8';

/** What the answer repeats of the request. */
export interface ProblemPlace {
  readonly requestId: string;
  /** Path of the request; a query is cut off, because it may hold what must not be repeated. */
  readonly instance: string;
  /** Whose request it is, where that is known: errors name no model that they may not use. */
  readonly caller?: KeyRights | undefined;
  /** Methods that the path takes, for 405. */
  readonly allow?: string;
}

/** A finished answer: status, headers and the text of the body. */
export interface Problem {
  readonly status: number;
  readonly code: ErrorCode;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** An error whose answer carries members of its own beside those of every problem (RFC 9457 §3.2). */
export class ExtendedProblem extends DomainError {
  constructor(
    code: ErrorCode,
    detail: string,
    readonly members: Readonly<Record<string, unknown>>,
  ) {
    super(code, detail);
  }
}

export function statusOf(code: ErrorCode): number {
  return STATUS_OF_KIND[errorSpec(code).kind];
}

/** The answer to any thrown value; what is not a DomainError says nothing of the inside. */
export function problemOf(thrown: unknown, place: ProblemPlace): Problem {
  const error = thrown instanceof DomainError ? thrown : internalError(thrown);
  const status = STATUS_OF_KIND[error.kind];
  const retryAfter = error.retryAfterSeconds === undefined ? undefined : wholeSeconds(error.retryAfterSeconds);
  const headers: Record<string, string> = { 'Content-Type': PROBLEM_TYPE, 'Cache-Control': 'no-store' };
  if (retryAfter !== undefined) headers['Retry-After'] = String(retryAfter);
  if (status === 401) headers['WWW-Authenticate'] = 'Bearer realm="sibyl", Basic realm="sibyl", charset="UTF-8"';
  if (status === 405 && place.allow !== undefined) headers['Allow'] = place.allow;
  const body = JSON.stringify({
    type: `/docs/errors#${error.code}`,
    title: errorSpec(error.code).title,
    status,
    code: error.code,
    detail: detailFor(error, place.caller),
    instance: pathOf(place.instance),
    request_id: place.requestId,
    ...(error.faults === undefined || error.faults.length === 0 ? {} : { errors: error.faults }),
    ...(retryAfter === undefined ? {} : { retry_after: retryAfter }),
    ...(error instanceof ExtendedProblem ? error.members : {}),
  });
  return { status, code: error.code, headers, body };
}

/** What a caller is told of an error: models with names like the one asked for only where the caller may know of them. */
export function detailFor(error: DomainError, caller: KeyRights | undefined): string {
  // The detail of an internal error is whatever the code that failed thought of; callers get a fixed text.
  return error.code === 'internal_error' ? INTERNAL_DETAIL : error.detail + nearNames(error, caller);
}

const NEAR_SHOWN = 3;

function nearNames({ nearModels }: DomainError, caller: KeyRights | undefined): string {
  if (nearModels === undefined || caller === undefined) return '';
  const may = (model: string): boolean =>
    allowsModel(caller, 'models:read', model) || allowsModel(caller, 'predict', model);
  const shown = nearModels.filter(may).slice(0, NEAR_SHOWN);
  return shown.length === 0 ? '' : ` Did you mean ${shown.map((name) => `'${name}'`).join(', ')}?`;
}

const INTERNAL_DETAIL = 'Something went wrong inside. The log has the reason under the request id.';

/** Wraps what nobody expected, so that the log keeps the cause and the caller sees nothing of it. */
export function internalError(cause: unknown): DomainError {
  return new DomainError('internal_error', INTERNAL_DETAIL, { cause });
}

function wholeSeconds(seconds: number): number {
  return Math.max(1, Math.ceil(seconds));
}

function pathOf(url: string): string {
  const end = url.search(/[?#]/);
  return end < 0 ? url : url.slice(0, end);
}
