import type { IncomingMessage, ServerResponse } from 'node:http';
import helmet, { type HelmetOptions } from 'helmet';

/** Sources of the pages that people look at. Scripts come from files of ours only, never from within a page. */
const PAGE = {
  'default-src': ["'none'"],
  'script-src': ["'self'"],
  'style-src': ["'self'", "'unsafe-inline'"],
  'img-src': ["'self'", 'data:'],
  'font-src': ["'self'", 'data:'],
  'connect-src': ["'self'"],
  'base-uri': ["'none'"],
  'form-action': ["'none'"],
  'frame-ancestors': ["'none'"],
};

const POLICIES = {
  api: { 'default-src': ["'none'"], 'frame-ancestors': ["'none'"] },
  page: PAGE,
  // ReDoc lays out its page in a worker made from a blob.
  redoc: { ...PAGE, 'worker-src': ["'self'", 'blob:'] },
} as const;

/** The headers of helmet as plain values, so that the hot handler can write them without a middleware. */
export function securityHeaders(
  kind: keyof typeof POLICIES,
  strictTransport: boolean,
): Readonly<Record<string, string>> {
  const headers: Record<string, string> = { 'Cache-Control': 'no-store' };
  const recorder = {
    setHeader: (name: string, value: string) => void (headers[name] = value),
    removeHeader: (name: string) => void delete headers[name],
  };
  const options: HelmetOptions = {
    contentSecurityPolicy: { useDefaults: false, directives: POLICIES[kind] as Record<string, string[]> },
    strictTransportSecurity: strictTransport,
  };
  helmet(options)({} as IncomingMessage, recorder as unknown as ServerResponse, () => undefined);
  return Object.freeze(headers);
}

/** Sets the headers of the API on every answer; the documentation pages replace their policy. */
export function securityMiddleware(
  strictTransport: boolean,
): (request: IncomingMessage, response: ServerResponse, next: () => void) => void {
  const headers = Object.entries(securityHeaders('api', strictTransport));
  return (_request, response, next) => {
    for (const [name, value] of headers) response.setHeader(name, value);
    next();
  };
}
