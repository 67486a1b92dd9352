export type {
  AuditedModel,
  AuditedResource,
  AuditEvent,
  AuditEventDraft,
  ChangeRecord,
  Outcome,
  RecordChange,
} from './audit-event';
export {
  AuditLog,
  type AuditLogParts,
  type EventPage,
  type EventPageRequest,
  type RecordedPrediction,
} from './audit-log';
export { AUDIT_DURABILITIES, AuditOptions } from './audit-options';
export { AuditTrail, type AuditTrailParts, type AuditTrailStatus } from './audit-trail';
export type { CommitReceiver } from './commit-receiver';
export type { EventFilter } from './event-filter';
export { auditMigrations } from './migrations';
export type { EventOrder } from './page-cursor';
export { RefusalFold, type RefusalLimits } from './refusal-fold';
export { omittedPayload, type Payload } from './bounded-payload';
export type { TrailLog } from './trail-log';
