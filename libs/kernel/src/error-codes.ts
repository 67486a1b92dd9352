import type { ErrorSpec } from './error-spec';
import { REQUEST_ERROR_CODES } from './request-error-codes';

/**
 * The public contract of failures: every code a caller can meet, what kind of failure it is and what it means.
 * Answers, OpenAPI and docs/errors.md are made from this table. Kinds are transport-neutral; `apps/` maps them.
 */
export const ERROR_CODES = {
  ...REQUEST_ERROR_CODES,
  version_conflict: {
    kind: 'conflict',
    title: 'The version exists with other bytes',
    help: 'Versions never change. Register the new bytes under a new version.',
  },
  version_not_servable: {
    kind: 'conflict',
    title: 'The version cannot serve',
    help: 'A rejected or archived version cannot be promoted, loaded or asked for a prediction; nor one that is not loaded and whose signature the policy refuses now. A version whose feature set is not there or cannot serve it is not promoted or loaded; `errors[]` says why.',
  },
  in_use: {
    kind: 'conflict',
    title: 'The resource is in use',
    help: 'Something still needs it: an alias, a feature set or a hold. Move that first.',
  },
  event_conflict: {
    kind: 'conflict',
    title: 'The event exists with other values',
    help: 'An event of this id says something else, or the final event of its time has come already. Nothing was stored.',
  },
  breaking_change: {
    kind: 'conflict',
    title: 'The version would break callers',
    help: '`errors[]` lists what callers rely on and the version has no more. Promote it with `"allow_breaking": true` when they know.',
  },
  idempotency_running: {
    kind: 'conflict',
    title: 'A request with this Idempotency-Key is still running',
    help: 'Wait for the first request to end, then repeat.',
  },
  etag_mismatch: {
    kind: 'precondition_failed',
    title: 'The resource has changed since it was read',
    help: 'Read it again, decide again, and send its present ETag as `If-Match`.',
  },
  precondition_required: {
    kind: 'precondition_required',
    title: 'This change needs If-Match or If-None-Match',
    help: 'Send the ETag that you read as `If-Match`, or `If-None-Match: *` to create.',
  },
  invalid_definition: {
    kind: 'unprocessable',
    title: 'The definition of a feature view or set cannot be used',
    help: '`errors[]` points at every fault; in expressions `position` counts characters from their beginning. Nothing was published.',
  },
  event_invalid: {
    kind: 'unprocessable',
    title: 'No event of the push can be stored',
    help: '`errors[]` points at what is wrong with each event. Nothing was stored.',
  },
  timestamp_in_future: {
    kind: 'unprocessable',
    title: 'The time has not come yet',
    help: 'Features are known of now and of the past; clocks may run ahead by five seconds.',
  },
  timestamp_before_retention: {
    kind: 'unprocessable',
    title: 'The log of events does not reach back so far',
    help: 'The detail names the stream and since when its events are kept; `retention` of the stream says how long.',
  },
  input_missing: {
    kind: 'unprocessable',
    title: 'An input is missing',
    help: '`errors[]` points at each missing input.',
  },
  input_type_mismatch: {
    kind: 'unprocessable',
    title: 'An input has the wrong type',
    help: '`errors[]` points at each value and says which type was expected.',
  },
  input_shape_mismatch: {
    kind: 'unprocessable',
    title: 'An input has the wrong shape',
    help: '`errors[]` points at each tensor and says which shape was expected.',
  },
  input_out_of_range: {
    kind: 'unprocessable',
    title: 'An input is out of range',
    help: 'The manifest of the model sets `min` and `max` of its features; integers must fit their datatype.',
  },
  non_finite_input: {
    kind: 'unprocessable',
    title: 'An input is not a finite number',
    help: 'Infinities are refused; a missing value is `null`, and only where the feature is nullable.',
  },
  batch_too_large: {
    kind: 'unprocessable',
    title: 'The batch is too large',
    help: 'The detail names the limit. Split the batch.',
  },
  input_not_allowed: {
    kind: 'unprocessable',
    title: 'An input is not one of the allowed values',
    help: 'The manifest of the model lists the `allowed` values of the feature.',
  },
  incomplete_features: {
    kind: 'unprocessable',
    title: 'Features are missing',
    help: 'Neither the request, the feature set of the model nor a default has a value; `errors[]` names all that are missing, or the set where there is none.',
  },
  model_output_invalid: {
    kind: 'unprocessable',
    title: 'The model gave an answer that is not a finite number',
    help: 'The inputs drove the model to NaN or infinity. Ask the owner of the model.',
  },
  model_run_failed: {
    kind: 'unprocessable',
    title: 'The model cannot compute these inputs',
    help: 'The inputs fit the signature, but an operator of the model refuses them. Ask the owner of the model.',
  },
  model_crashed_on_input: {
    kind: 'unprocessable',
    title: 'The process of the model ended on these inputs',
    help: 'The process in which the model ran crashed or took too much memory when it had nothing but this request to do. Do not repeat the request: each attempt costs a process. Ask the owner of the model.',
  },
  manifest_mismatch: {
    kind: 'unprocessable',
    title: 'The manifest says something else',
    help: 'Name, version or signature differ between request, manifest and file; `errors[]` says where.',
  },
  idempotency_conflict: {
    kind: 'unprocessable',
    title: 'The Idempotency-Key was used with another request',
    help: 'Use a new key for a new request.',
  },
  model_rejected: {
    kind: 'unprocessable',
    title: 'The model was rejected',
    help: '`errors[]` lists the reasons: what the scan, the trial load or the golden samples found.',
  },
  rate_limited: {
    kind: 'resource_exhausted',
    title: 'Too many requests',
    help: 'Wait for `Retry-After` seconds. `RateLimit-Policy` says what is allowed.',
  },
  quota_exhausted: {
    kind: 'resource_exhausted',
    title: 'The quota of the key is used up',
    help: 'It is filled again at the time that `Retry-After` gives.',
  },
  internal_error: {
    kind: 'internal',
    title: 'Something went wrong inside',
    help: 'The fault is ours. The log has the reason under the request id.',
  },
  model_not_ready: {
    kind: 'unavailable',
    title: 'The model is not ready',
    help: 'It is still loading or could not be loaded. Retry after `Retry-After` seconds.',
  },
  queue_full: {
    kind: 'unavailable',
    title: 'The queue is full',
    help: 'The server has more work than it can do in time. Retry after `Retry-After` seconds.',
  },
  audit_unavailable: {
    kind: 'unavailable',
    title: 'The audit log cannot be written',
    help: 'Nothing is answered that cannot be recorded. Retry after `Retry-After` seconds.',
  },
  database_unavailable: {
    kind: 'unavailable',
    title: 'The database cannot be reached',
    help: 'Predictions go on, but for those whose features are not in memory; this call needs the database. Retry after `Retry-After` seconds.',
  },
  source_unavailable: {
    kind: 'unavailable',
    title: 'The place that the package should come from does not answer',
    help: 'The registry, bucket or server that the URI names, or the bucket that keeps packages, could not be reached, or broke off too often. Nothing became valid. Retry after `Retry-After` seconds.',
  },
  storage_full: {
    kind: 'unavailable',
    title: 'The disk of the server is full',
    help: 'There is no room for what was sent or for what has to be made of it, on the disk or in what keys may take of it together. What came was dropped and nothing became valid. Retry after `Retry-After` seconds, when the operator has made room; finished training sets make room when they are deleted (`DELETE /v1/operations/{id}`).',
  },
  execution_provider_unavailable: {
    kind: 'unavailable',
    title: 'The required execution provider is missing',
    help: 'The device policy requires a GPU that this machine does not offer.',
  },
  shutting_down: {
    kind: 'unavailable',
    title: 'The server is shutting down',
    help: 'Send the request to another instance, or again after `Retry-After` seconds.',
  },
  deadline_exceeded: {
    kind: 'deadline_exceeded',
    title: 'The request took longer than its deadline',
    help: 'Raise `X-Request-Timeout-Ms` (up to 60,000) or send less work at once.',
  },
} as const satisfies Record<string, ErrorSpec>;

export type ErrorCode = keyof typeof ERROR_CODES;

/** The row of a code; the union of literal rows is widened so that callers can compare kinds. */
export function errorSpec(code: ErrorCode): ErrorSpec {
  return ERROR_CODES[code];
}
