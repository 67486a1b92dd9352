import type { EntityManager } from 'typeorm';
import type { Actor } from '@sibyl/kernel';

export type Outcome = 'succeeded' | 'denied' | 'failed';

export interface AuditedResource {
  readonly type: string;
  readonly id: string;
}

/** Which bytes answered: the digest pins them even when name and version are reused elsewhere. */
export interface AuditedModel {
  readonly name: string;
  readonly version?: string | undefined;
  readonly digest?: string | undefined;
  readonly alias?: string | undefined;
}

/** What a caller of the trail knows about one request; id, time of record, chain and seq are added by the trail. */
export interface AuditEventDraft {
  /** `noun.verb`. */
  readonly action: string;
  readonly outcome: Outcome;
  readonly status: number;
  readonly actor: Actor;
  readonly ip: string;
  readonly requestId: string;
  readonly occurredAtMs: number;
  readonly durationMs: number;
  readonly traceId?: string | undefined;
  /** Without one the request itself is the resource. */
  readonly resource?: AuditedResource | undefined;
  readonly model?: AuditedModel | undefined;
  readonly predictionId?: string | undefined;
  readonly inputsDigest?: string | undefined;
  readonly outputsDigest?: string | undefined;
  readonly reason?: string | undefined;
  readonly changes?: Readonly<Record<string, unknown>> | undefined;
  /** How many requests this event stands for, where several refused ones share it. */
  readonly count?: number | undefined;
}

/** Whether relaxed durability lets the answer go ahead of the disk: a prediction that was made (only those have an id), features that were read. */
export function mayLinger({ action, outcome, predictionId }: AuditEventDraft): boolean {
  return predictionId !== undefined || (action === 'feature.online' && outcome === 'succeeded');
}

/** One event as it is stored, hashed and answered: the members of the wire, in their order. */
export interface AuditEvent {
  readonly id: string;
  readonly recorded_at: string;
  readonly occurred_at: string;
  readonly action: string;
  readonly outcome: Outcome;
  readonly status: number;
  readonly actor: { readonly type: string; readonly id: string; readonly key_id?: string; readonly name: string };
  readonly ip: string;
  readonly request_id: string;
  readonly trace_id?: string;
  readonly resource: AuditedResource;
  readonly model?: {
    readonly name: string;
    readonly version?: string;
    readonly digest?: string;
    readonly alias?: string;
  };
  readonly prediction_id?: string;
  readonly duration_ms: number;
  readonly inputs_digest?: string;
  readonly outputs_digest?: string;
  readonly reason?: string;
  readonly changes?: Readonly<Record<string, unknown>>;
  readonly count?: number;
  readonly chain: string;
  readonly seq: number;
}

/** What a library says about a change it makes; the app adds who asked, from where, and how it ended. */
export interface ChangeRecord {
  readonly action: string;
  readonly status?: number;
  readonly resource: AuditedResource;
  readonly model?: AuditedModel;
  readonly reason?: string;
  readonly changes?: Readonly<Record<string, unknown>>;
  readonly predictionId?: string;
}

/**
 * Writes the event of a change into the transaction of that change. Call it last in the transaction: from then until
 * the commit this process's other changes wait for the head of the chain.
 */
export type RecordChange = (tx: EntityManager, change: ChangeRecord) => Promise<void>;
