import { errorSpec, type ErrorCode } from './error-codes';
import type { ErrorKind } from './error-spec';

/** One fault in a request: where it is (RFC 6901 pointer), what was expected and what came. */
export interface FieldFault {
  readonly pointer: string;
  readonly expected?: string;
  readonly received?: string;
  readonly hint?: string;
  /** Characters from the beginning of an expression to where the fault lies. */
  readonly position?: number;
}

export interface DomainErrorOptions {
  /** For the log only; never reaches a caller. */
  readonly cause?: unknown;
  readonly faults?: readonly FieldFault[];
  /** Seconds after which a retry makes sense; every 429 and 503 has one. */
  readonly retryAfterSeconds?: number;
  /** Names of models like the one that is not there, nearest first. Callers are shown those that they may know of. */
  readonly nearModels?: readonly string[];
}

/** The only error that libraries throw on purpose. `detail` is for the caller, `cause` for the log. */
export class DomainError extends Error {
  readonly code: ErrorCode;
  readonly faults: readonly FieldFault[] | undefined;
  readonly retryAfterSeconds: number | undefined;
  readonly nearModels: readonly string[] | undefined;

  constructor(code: ErrorCode, detail: string, options: DomainErrorOptions = {}) {
    // A stack costs ten times what a refusal does otherwise, and says nothing about it that the code does not: under a flood
    // of refusals it was a good part of the work. Faults of ours keep theirs.
    const before = Error.stackTraceLimit;
    if (errorSpec(code).kind !== 'internal') Error.stackTraceLimit = 0;
    super(detail, options.cause === undefined ? undefined : { cause: options.cause });
    Error.stackTraceLimit = before;
    this.name = 'DomainError';
    this.code = code;
    this.faults = options.faults;
    this.nearModels = options.nearModels;
    this.retryAfterSeconds = options.retryAfterSeconds ?? defaultRetryAfter(this.kind);
  }

  get kind(): ErrorKind {
    return errorSpec(this.code).kind;
  }

  get detail(): string {
    return this.message;
  }
}

function defaultRetryAfter(kind: ErrorKind): number | undefined {
  return kind === 'unavailable' || kind === 'resource_exhausted' ? 1 : undefined;
}

/** Throws `internal_error` when something that the code relies on does not hold: a fault of ours, not the caller's. */
export function invariant(condition: unknown, message: string): asserts condition {
  if (condition === false || condition === undefined || condition === null || condition === 0 || condition === '') {
    throw new DomainError('internal_error', 'Something went wrong inside.', {
      cause: new Error(`invariant: ${message}`),
    });
  }
}
