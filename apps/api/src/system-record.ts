import type { AuditTrail, RecordChange } from '@sibyl/audit';
import type { Actor, Clock, IdSource } from '@sibyl/kernel';

/** Records what the server does by itself. */
export function systemRecord(
  trail: AuditTrail,
  actor: Actor,
  { clock, ids }: { readonly clock: Clock; readonly ids: IdSource },
): RecordChange {
  return (tx, change) =>
    trail.commitInTransaction(tx, {
      ...change,
      outcome: (change.status ?? 200) < 400 ? 'succeeded' : 'failed',
      status: change.status ?? 200,
      actor,
      ip: '',
      requestId: ids.next(),
      occurredAtMs: clock.now(),
      durationMs: 0,
    });
}
