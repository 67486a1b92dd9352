import type { AuditEventDraft } from './audit-event';
import type { TrailLog } from './trail-log';

/** A valid event; name what the test is about. */
export function anEvent(given: Partial<AuditEventDraft> = {}): AuditEventDraft {
  return {
    action: 'prediction.create',
    outcome: 'succeeded',
    status: 200,
    actor: { type: 'key', id: 'key-1', keyId: 'key-1', name: 'a caller' },
    ip: '127.0.0.1',
    requestId: 'request-1',
    occurredAtMs: Date.parse('2026-01-15T10:30:00.000Z'),
    durationMs: 1.25,
    ...given,
  };
}

/** For trails of which nobody reads the log. */
export const silentTrailLog: TrailLog = {
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

export { FaultyDisk } from './testing/faulty-disk';
/** For drills: whether what PostgreSQL holds is what was recorded. */
export { verifyChain, type ChainRow, type ChainVerdict } from './verify-chain';
