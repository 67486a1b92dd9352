import type { Gate } from '@sibyl/auth';
import type { DomainError } from '@sibyl/kernel';
import type { ServerMetrics } from '@sibyl/telemetry';
import { limitHeaders } from './limit-headers';
import type { RequestContext } from './request-context';

/** Counts what the gate refuses; other errors are seen in the status of the request. */
export function countRefusal(metrics: ServerMetrics, { kind, code }: DomainError): void {
  if (kind === 'unauthenticated' || kind === 'permission_denied') metrics.authRefusals.inc({ code });
  if (kind === 'resource_exhausted') metrics.rateLimited.inc();
}

/** `RateLimit` headers of a 429: of the key's limit that is used up, or of the address that failed too often. */
export function refusalHeaders(gate: Gate, { kind }: DomainError, context: RequestContext): Record<string, string> {
  if (kind !== 'resource_exhausted') return {};
  const state = context.principal === undefined ? gate.addressLimit(context.ip) : gate.limits(context.principal)[0];
  return state === undefined ? {} : limitHeaders(state);
}
