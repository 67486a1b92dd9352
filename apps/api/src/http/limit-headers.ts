import type { LimitState } from '@sibyl/auth';

/** `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-11); one function, because drafts change. */
export function limitHeaders(state: LimitState): Record<string, string> {
  return {
    'RateLimit-Policy': `"${state.policy}";q=${state.limit};w=${state.seconds}`,
    RateLimit: `"${state.policy}";r=${Math.max(0, Math.floor(state.remaining))};t=${Math.max(0, Math.ceil(state.resetSeconds))}`,
  };
}
