import { applyDecorators, HttpCode, SetMetadata } from '@nestjs/common';
import { ApiExtension, ApiHeader, ApiOperation, ApiResponse, ApiSecurity } from '@nestjs/swagger';
import type { ErrorCode } from '@sibyl/kernel';
import type { Scope } from '@sibyl/auth';
import { statusOf } from './problem';

/** What a route is: who may call it, what it is called in the audit log, and what it may answer. */
export interface EndpointFacts {
  readonly summary: string;
  readonly description?: string;
  /** `noun.verb`, as the audit event names it. */
  readonly action: string;
  /** A scope, any valid key at all, or nobody in particular. There is no default: a route without this is refused. */
  readonly access: Scope | 'any key' | 'public';
  /** Another scope that opens the route as well. */
  readonly alsoFor?: Scope;
  /** Codes beyond those that every route of its kind can answer. */
  readonly errors?: readonly ErrorCode[];
  /** Status of success; 200 unless said otherwise. */
  readonly status?: number;
  /** Further successes, with what they mean. */
  readonly also?: Readonly<Record<number, string | AlsoFacts>>;
  /** Makes something: `Idempotency-Key` applies. */
  readonly creates?: boolean;
  /**
   * What the body is; `package` is a model package as multipart or one version file, or JSON; `raw` is JSON that the predict handler
   * reads; `stream` is any bytes, which the route takes as they come.
   */
  readonly body?: 'json' | 'package' | 'raw' | 'stream' | 'none';
  /** Schema of the answer in `components.schemas`, or the media type of what is no JSON. */
  readonly answer: string | { readonly mediaType: string };
  /** Further media types that it has where a request asks for them. */
  readonly answersAs?: readonly string[];
  /** Schema of one line of a body of JSON lines. */
  readonly line?: object;
  /** Path parameter that names a model, so that keys limited to certain models are held to it. */
  readonly model?: string;
  /** What the event is about: its type and the path parameter with its id. */
  readonly resource?: readonly [type: string, parameter: string];
  /** An answer, and a request that works as pasted into the demo. */
  readonly example?: unknown;
  readonly request?: unknown;
  /** Request headers with a meaning of their own, by name. */
  readonly headers?: Readonly<Record<string, string | HeaderFacts>>;
}

/** A further success that answers what the first one does. */
export interface AlsoFacts {
  readonly same: string;
}

/** A header whose values are not any text. */
export interface HeaderFacts {
  readonly description: string;
  readonly schema: Readonly<Record<string, unknown>>;
}

const IDEMPOTENCY = { 'Idempotency-Key': 'Up to 255 characters; a repeat within 24 h gets the first answer again.' };

export const ENDPOINT = 'sibyl:endpoint';

/** The one decorator of a route beside its method and path: access, event, OpenAPI and body handling come from it. */
export function Endpoint(facts: EndpointFacts): MethodDecorator {
  const status = facts.status ?? 200;
  return applyDecorators(
    SetMetadata(ENDPOINT, facts),
    HttpCode(status),
    ApiOperation({
      summary: facts.summary,
      ...(facts.description === undefined ? {} : { description: facts.description }),
      ...(facts.access === 'public' ? { security: [] } : {}),
    }),
    ...(facts.access === 'public' ? [] : [ApiSecurity('key'), ApiSecurity('bearer'), ApiSecurity('basic')]),
    ApiExtension('x-scope', facts.alsoFor === undefined ? facts.access : `${facts.access} or ${facts.alsoFor}`),
    ApiExtension('x-event', facts.access === 'public' ? 'none' : facts.action),
    ...Object.entries({ ...(facts.creates === true ? IDEMPOTENCY : {}), ...facts.headers }).map(([name, header]) =>
      ApiHeader({
        name,
        required: false,
        ...(typeof header === 'string' ? { description: header, schema: { type: 'string' } } : header),
      }),
    ),
    ...(facts.request === undefined ? [] : [ApiExtension('x-request-example', facts.request as object)]),
    ...(facts.line === undefined ? [] : [ApiExtension('x-line', facts.line)]),
    ApiResponse({ status, description: 'Success', content: contentOf(facts) }),
    ...Object.entries(facts.also ?? {}).map(([code, also]) =>
      ApiResponse({
        status: Number(code),
        description: typeof also === 'string' ? also : also.same,
        // Accepted: what is answered is mostly the operation that goes on.
        content: contentOf(
          code === '202' && typeof also === 'string' ? { ...facts, answer: 'Operation', example: undefined } : facts,
        ),
      }),
    ),
    ...problemResponses(errorsOf(facts)),
  );
}

/** Both paths of a route that the contract marks with °: `/x` and `/v1/x`. */
export function both(path: string): string[] {
  return [path, `/v1${path}`];
}

/** Every code that a route can answer: its own and those of its kind. */
function errorsOf(facts: EndpointFacts): ErrorCode[] {
  const codes = new Set<ErrorCode>(facts.errors ?? []);
  const add = (...more: ErrorCode[]): void => more.forEach((code) => codes.add(code));
  if (facts.access !== 'public') {
    add('key_missing', 'key_malformed', 'key_unknown', 'key_expired', 'key_revoked', 'address_forbidden');
    add('rate_limited', 'quota_exhausted', 'audit_unavailable', 'shutting_down', 'unknown_field');
  }
  if (facts.access !== 'public' && facts.access !== 'any key') add('scope_missing');
  if (facts.model !== undefined) add('model_forbidden');
  if (typeof facts.answer === 'string') add('not_acceptable');
  if (facts.body !== undefined && facts.body !== 'none') {
    add('unknown_field', 'invalid_parameter');
    if (facts.body !== 'stream') add('malformed_json', 'json_too_deep');
    add('request_timeout', 'body_too_large', 'unsupported_media_type');
  }
  if (facts.creates === true) add('idempotency_running', 'idempotency_conflict');
  add('internal_error');
  return [...codes];
}

function contentOf(facts: EndpointFacts): Record<string, { schema: Record<string, unknown>; example?: unknown }> {
  const example = facts.example === undefined ? {} : { example: facts.example };
  const others = Object.fromEntries((facts.answersAs ?? []).map((type) => [type, { schema: { type: 'string' } }]));
  if (typeof facts.answer !== 'string')
    return { [facts.answer.mediaType]: { schema: { type: 'string' }, ...example }, ...others };
  return { 'application/json': { schema: { $ref: `#/components/schemas/${facts.answer}` }, ...example }, ...others };
}

/** One response a status, its description naming the codes. */
function problemResponses(codes: readonly ErrorCode[]): (MethodDecorator & ClassDecorator)[] {
  const byStatus = new Map<number, ErrorCode[]>();
  for (const code of codes) byStatus.set(statusOf(code), [...(byStatus.get(statusOf(code)) ?? []), code]);
  return Array.from(byStatus, ([status, group]) =>
    ApiResponse({
      status,
      description: group.map((code) => `\`${code}\``).join(', '),
      content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
    }),
  );
}
