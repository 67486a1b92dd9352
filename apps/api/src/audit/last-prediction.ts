import type { AuditLog, EventFilter } from '@sibyl/audit';

/** When the last one was recorded. */
export async function lastPrediction(auditLog: AuditLog, of: EventFilter): Promise<string | undefined> {
  return (await auditLog.list({ ...of, action: 'prediction.create' }, { limit: 1 })).items[0]?.recorded_at;
}
