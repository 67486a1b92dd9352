/** Hot path. See docs/paths/predict.md. */

/** Request headers as Node gives them: lower-case names. */
export interface CredentialHeaders {
  readonly authorization?: string | string[] | undefined;
  readonly 'x-api-key'?: string | string[] | undefined;
}

/** The key that a request carries: `X-API-Key`, a bearer token, or the password of Basic authentication, in this order. */
export function credentialOf(headers: CredentialHeaders): string | undefined {
  const own = headers['x-api-key'];
  // Node joins repeated headers with a comma, which no key has: two different keys are refused as malformed.
  if (own !== undefined && own.length > 0) return typeof own === 'string' ? own.trim() : own.join(', ');
  const authorization = headers.authorization;
  if (typeof authorization !== 'string') return undefined;
  const space = authorization.indexOf(' ');
  if (space < 0) return undefined;
  const scheme = authorization.slice(0, space).toLowerCase();
  const value = authorization.slice(space + 1).trim();
  if (scheme === 'bearer') return value === '' ? undefined : value;
  return scheme === 'basic' ? passwordOf(value) : undefined;
}

function passwordOf(encoded: string): string | undefined {
  const pair = Buffer.from(encoded, 'base64').toString('latin1');
  const colon = pair.indexOf(':');
  const password = colon < 0 ? '' : pair.slice(colon + 1);
  return password === '' ? undefined : password;
}
