import type { IncomingMessage, ServerResponse } from 'node:http';

const EXPOSED = 'ETag, Location, RateLimit, RateLimit-Policy, Retry-After, X-Request-Id';
const ALLOWED_HEADERS =
  'Accept, Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Prefer, Traceparent, X-API-Key, X-Request-Id, X-Request-Priority, X-Request-Timeout-Ms';
const METHODS = 'GET, HEAD, POST, PUT, PATCH, DELETE';

/** The CORS headers for an origin; nothing for one that is not on the list. Credentials are never allowed: keys travel in headers. */
export function corsHeaders(origins: readonly string[], origin: string | undefined): Record<string, string> {
  if (origins.length === 0) return {};
  if (origin === undefined || !origins.includes(origin)) return { Vary: 'Origin' };
  return { Vary: 'Origin', 'Access-Control-Allow-Origin': origin, 'Access-Control-Expose-Headers': EXPOSED };
}

/** Answers every OPTIONS request, without key or event, and marks other answers for browsers of allowed origins. */
export function corsMiddleware(
  origins: readonly string[],
): (request: IncomingMessage, response: ServerResponse, next: () => void) => void {
  return (request, response, next) => {
    const headers = corsHeaders(origins, request.headers.origin);
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    if (request.method !== 'OPTIONS') {
      next();
      return;
    }
    if (headers['Access-Control-Allow-Origin'] !== undefined) {
      response.setHeader('Access-Control-Allow-Methods', METHODS);
      response.setHeader('Access-Control-Allow-Headers', ALLOWED_HEADERS);
      response.setHeader('Access-Control-Max-Age', '600');
    }
    response.writeHead(204).end();
  };
}
