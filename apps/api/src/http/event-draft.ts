/** Hot path. See docs/paths/predict.md. */
import type { AuditEventDraft, Outcome } from '@sibyl/audit';
import type { Actor } from '@sibyl/kernel';
import type { RequestContext } from './request-context';

/** Status that the log gives a caller who hung up before the answer. */
export const CLIENT_CLOSED = 499;

/** Keyed digests of what a prediction took and gave. */
export interface Digests {
  readonly inputs: string | undefined;
  readonly outputs: string | undefined;
}

export const NO_DIGESTS: Digests = { inputs: undefined, outputs: undefined };

/** The event of a request that ended with `status` after `durationMs`. */
export function eventDraft(
  context: RequestContext,
  status: number,
  durationMs: number,
  digests: Digests = NO_DIGESTS,
): AuditEventDraft {
  return {
    action: context.principal === undefined ? REFUSED : (context.action ?? REFUSED),
    outcome: outcomeOf(status),
    status,
    actor: context.principal?.actor ?? context.holder ?? anonymous(context.ip),
    ip: context.ip,
    requestId: context.requestId,
    occurredAtMs: context.occurredAtMs,
    durationMs,
    traceId: context.traceId,
    resource: context.resource,
    model: context.model,
    predictionId: context.predictionId,
    inputsDigest: digests.inputs ?? context.inputsDigest,
    outputsDigest: digests.outputs,
    reason: context.reason ?? context.problem,
    changes: context.changes,
    count: undefined,
  };
}

const REFUSED = 'request.refuse';

export function outcomeOf(status: number): Outcome {
  if (status < 400) return 'succeeded';
  return status === 401 || status === 403 || status === 429 ? 'denied' : 'failed';
}

function anonymous(ip: string): Actor {
  return { type: 'anonymous', id: ip, name: 'anonymous' };
}
