import type { ErrorSpec } from './error-spec';

/** Codes of requests that end before anything is done for them: unreadable, not allowed, or for what is not there. */
export const REQUEST_ERROR_CODES = {
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
  stream_not_found: {
    kind: 'not_found',
    title: 'There is no such stream',
    help: 'Streams come with the feature views that declare them; `GET /v1/features/views` lists those.',
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
  feature_set_not_found: {
    kind: 'not_found',
    title: 'There is no such feature set',
    help: 'Feature sets are published with `PUT /v1/features/sets/{name}`.',
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
} as const satisfies Record<string, ErrorSpec>;
