import type { LimitState } from '@sibyl/auth';

/** `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-11); one function, because drafts change. */
export function limitHeaders(state: LimitState): { readonly 'RateLimit-Policy': string; readonly RateLimit: string } {
  const remaining = Math.max(0, Math.floor(state.remaining));
  const reset = Math.max(0, Math.ceil(state.resetSeconds));
  return {
    'RateLimit-Policy': `"${state.policy}";q=${state.limit};w=${state.seconds}`,
    RateLimit: `"${state.policy}";r=${remaining};t=${reset}`,
  };
}

/** The same as lines of a head, each with its CRLF. */
export function limitHeaderLines(state: LimitState): string {
  const headers = limitHeaders(state);
  return `RateLimit-Policy: ${headers['RateLimit-Policy']}\r\nRateLimit: ${headers.RateLimit}\r\n`;
}
