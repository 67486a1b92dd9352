import type { LimitState } from '@sibyl/auth';

/** `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-11); one function, because drafts change. */
export function limitHeaderPairs(state: LimitState): [string, string, string, string] {
  const remaining = Math.max(0, Math.floor(state.remaining));
  const reset = Math.max(0, Math.ceil(state.resetSeconds));
  const name = `"${state.policy}"`;
  return [
    'RateLimit-Policy',
    `${name};q=${state.limit};w=${state.seconds}`,
    'RateLimit',
    `${name};r=${remaining};t=${reset}`,
  ];
}

/** The same as an object. */
export function limitHeaders(state: LimitState): Record<string, string> {
  const [policyName, policy, name, limit] = limitHeaderPairs(state);
  return { [policyName]: policy, [name]: limit };
}
