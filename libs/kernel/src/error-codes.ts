/**
 * The public contract of failures: every code a caller can meet, what kind of failure it is and what it means.
 * Answers, OpenAPI and docs/errors.md are made from this table. Kinds are transport-neutral; `apps/` maps them.
 */
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

export interface ErrorSpec {
  readonly kind: ErrorKind;
  readonly title: string;
  /** What happened and what the caller can do, for docs/errors.md. */
  readonly help: string;
}

export const ERROR_CODES = {
  malformed_json: {
    kind: 'invalid_argument',
    title: 'The body is not valid JSON',
    help: 'The body could not be read as UTF-8 JSON. Check quotes, commas and that the body was sent whole.',
  },
  json_too_deep: {
    kind: 'invalid_argument',
    title: 'The JSON is nested too deeply',
    help: 'Objects and arrays may be nested up to the limit that the detail names.',
  },
  unknown_field: {
    kind: 'invalid_argument',
    title: 'The request has a field that does not exist',
    help: '`errors[]` names each unknown field and the nearest known one.',
  },
  invalid_parameter: {
    kind: 'invalid_argument',
    title: 'A parameter is missing or has a wrong value',
    help: '`errors[]` points at each parameter and says what was expected and what came.',
  },
  key_missing: {
    kind: 'unauthenticated',
    title: 'No API key was sent',
    help: 'Send the key as `X-API-Key: K`, `Authorization: Bearer K`, or as the password of Basic authentication.',
  },
  key_malformed: {
    kind: 'unauthenticated',
    title: 'The API key is not well-formed',
    help: 'A key reads `sk_<id>_<secret><checksum>`. The checksum did not match, so a character was lost or changed.',
  },
  key_unknown: {
    kind: 'unauthenticated',
    title: 'The API key is not valid',
    help: 'No key with this id and secret exists. The same answer is given for an unknown id and a wrong secret.',
  },
  key_expired: {
    kind: 'unauthenticated',
    title: 'The API key has expired',
    help: 'Ask an administrator for a new key.',
  },
  key_revoked: {
    kind: 'unauthenticated',
    title: 'The API key was revoked',
    help: 'Ask an administrator for a new key.',
  },
  scope_missing: {
    kind: 'permission_denied',
    title: 'The key lacks a scope',
    help: 'The detail names the scope that this route needs. `GET /v1/whoami` lists those of your key.',
  },
  model_forbidden: {
    kind: 'permission_denied',
    title: 'The key may not use this model',
    help: 'The key is limited to certain models; `GET /v1/whoami` lists them.',
  },
  address_forbidden: {
    kind: 'permission_denied',
    title: 'The key may not be used from this address',
    help: 'The key is limited to certain networks (`cidrs`).',
  },
  policy_forbidden: {
    kind: 'permission_denied',
    title: 'The policy of the model does not let this caller do that',
    help: 'The detail says whom the policy lets do it: its promoters, or somebody else than who registered the version. `GET /v1/models/{name}/policy` shows the policy.',
  },
  route_not_found: {
    kind: 'not_found',
    title: 'There is no such route',
    help: 'Compare the path with `/docs` or `/openapi.json`.',
  },
  model_not_found: {
    kind: 'not_found',
    title: 'There is no such model',
    help: 'The detail names up to three models with a similar name. `GET /models` lists all.',
  },
  version_not_found: {
    kind: 'not_found',
    title: 'The model has no such version',
    help: '`GET /models/{name}/versions` lists the versions.',
  },
  alias_not_found: {
    kind: 'not_found',
    title: 'The model has no such alias',
    help: '`GET /models?name=` lists the aliases of each version.',
  },
  key_not_found: { kind: 'not_found', title: 'There is no such key', help: '`GET /v1/keys` lists the keys.' },
  prediction_not_found: {
    kind: 'not_found',
    title: 'There is no such prediction',
    help: 'The id is unknown, or the prediction was made with another key and yours lacks `audit:read`.',
  },
  event_not_found: {
    kind: 'not_found',
    title: 'There is no such audit event',
    help: '`GET /v1/audit/events` lists events.',
  },
  operation_not_found: {
    kind: 'not_found',
    title: 'There is no such operation',
    help: 'The id is unknown, or the operation was begun with another key and yours lacks `ops:read`.',
  },
  feature_view_not_found: {
    kind: 'not_found',
    title: 'There is no such feature view',
    help: 'Feature views are published with `PUT /v1/features/views/{name}`.',
  },
  method_not_allowed: {
    kind: 'method_not_allowed',
    title: 'The route does not take this method',
    help: 'The `Allow` header lists the methods that the route takes.',
  },
  not_acceptable: {
    kind: 'not_acceptable',
    title: 'The answer is JSON, which the Accept header excludes',
    help: 'Send `Accept: application/json` or leave the header out.',
  },
  request_timeout: {
    kind: 'request_timeout',
    title: 'The request was not received in time',
    help: 'Headers and body must arrive within the limits of docs/settings.md.',
  },
  body_too_large: {
    kind: 'too_large',
    title: 'The body is too large',
    help: 'The detail names the limit of this route.',
  },
  unsupported_media_type: {
    kind: 'unsupported_media',
    title: 'The content type or encoding is not supported',
    help: 'Send `Content-Type: application/json` in UTF-8 and without `Content-Encoding`; packages go as `multipart/form-data`.',
  },
  headers_too_large: {
    kind: 'headers_too_large',
    title: 'The headers are too large',
    help: 'All headers together may take 16 KiB.',
  },
  version_conflict: {
    kind: 'conflict',
    title: 'The version exists with other bytes',
    help: 'Versions never change. Register the new bytes under a new version.',
  },
  version_not_servable: {
    kind: 'conflict',
    title: 'The version cannot serve',
    help: 'A rejected or archived version cannot be promoted, loaded or asked for a prediction.',
  },
  in_use: {
    kind: 'conflict',
    title: 'The resource is in use',
    help: 'Something still needs it: an alias, a feature set or a hold. Move that first.',
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
    help: 'Neither the request nor a default has a value; `errors[]` names all that are missing.',
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
    help: 'Predictions go on; this call needs the database. Retry after `Retry-After` seconds.',
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
