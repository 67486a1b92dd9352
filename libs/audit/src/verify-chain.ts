import type { AuditEvent } from './audit-event';
import { chainHash, GENESIS, leafHash } from './hash-chain';

/** One stored event with the columns that people search by; names as in the table. */
export interface ChainRow {
  readonly chain: string;
  readonly seq: number;
  readonly body: Uint8Array;
  readonly leaf: Uint8Array;
  readonly chainHash: Uint8Array;
  /** Columns besides the body, as text; those given must say what the body says. */
  readonly columns?: Readonly<Partial<Record<IndexedColumn, string | null>>>;
}

export type IndexedColumn =
  | 'id'
  | 'recorded_at'
  | 'occurred_at'
  | 'action'
  | 'outcome'
  | 'status'
  | 'actor_type'
  | 'actor_id'
  | 'actor_name'
  | 'key_id'
  | 'ip'
  | 'request_id'
  | 'resource_type'
  | 'resource_id'
  | 'model_name'
  | 'model_version'
  | 'prediction_id';

export interface BadLink {
  readonly chain: string;
  readonly seq: number;
  readonly kind: 'content_mismatch' | 'column_mismatch' | 'gap' | 'chain_break';
  readonly detail: string;
}

export interface ChainVerdict {
  readonly ok: boolean;
  readonly checked: number;
  readonly firstBad?: BadLink;
}

/** Where a check goes on from: the chain hash of the event before, and its number. */
export interface ChainStart {
  readonly seq: number;
  readonly head: Uint8Array;
}

/**
 * Checks the rows of one chain in the order of their numbers. Independent of the code that writes: it hashes the
 * stored bytes again and compares every searchable column with the body, so that no one can edit only what people query.
 */
export function verifyChain(rows: Iterable<ChainRow>, start: ChainStart = { seq: 0, head: GENESIS }): ChainVerdict {
  let checked = 0;
  let seq = start.seq;
  let head = start.head;
  for (const row of rows) {
    const fault = faultOf(row, seq + 1, head);
    if (fault) return { ok: false, checked, firstBad: { chain: row.chain, seq: row.seq, ...fault } };
    checked++;
    seq = row.seq;
    head = row.chainHash;
  }
  return { ok: true, checked };
}

type Fault = Pick<BadLink, 'kind' | 'detail'>;

function faultOf(row: ChainRow, expectedSeq: number, head: Uint8Array): Fault | undefined {
  const leaf = leafHash(row.body);
  if (!leaf.equals(row.leaf)) return { kind: 'content_mismatch', detail: 'the body does not hash to its leaf' };
  const event = parseBody(row.body);
  if (!event) return { kind: 'content_mismatch', detail: 'the body is not an event' };
  const column = mismatchedColumn(row, event);
  if (column) return { kind: 'column_mismatch', detail: `${column} differs from the body` };
  if (row.seq !== expectedSeq) return { kind: 'gap', detail: `expected number ${expectedSeq}` };
  if (!chainHash(head, leaf).equals(row.chainHash)) {
    return { kind: 'chain_break', detail: 'the chain hash does not follow from the event before' };
  }
  return undefined;
}

function parseBody(body: Uint8Array): AuditEvent | undefined {
  try {
    return JSON.parse(Buffer.from(body).toString('utf8')) as AuditEvent;
  } catch {
    return undefined;
  }
}

function mismatchedColumn(row: ChainRow, event: AuditEvent): string | undefined {
  if (event.chain !== row.chain) return 'chain';
  if (event.seq !== row.seq) return 'seq';
  const columns = row.columns;
  if (!columns) return undefined;
  const body = indexedColumns(event);
  for (const name of Object.keys(columns) as IndexedColumn[]) {
    const column = columns[name] ?? null;
    const same = name.endsWith('_at') ? sameInstant(column, body[name]) : column === body[name];
    if (!same) return name;
  }
  return undefined;
}

function sameInstant(column: string | null, body: string | null): boolean {
  return column !== null && body !== null && Date.parse(column) === Date.parse(body);
}

function indexedColumns(event: AuditEvent): Record<IndexedColumn, string | null> {
  return {
    id: event.id,
    recorded_at: event.recorded_at,
    occurred_at: event.occurred_at,
    action: event.action,
    outcome: event.outcome,
    status: String(event.status),
    actor_type: event.actor.type,
    actor_id: event.actor.id,
    actor_name: event.actor.name,
    key_id: event.actor.key_id ?? null,
    ip: event.ip,
    request_id: event.request_id,
    resource_type: event.resource.type,
    resource_id: event.resource.id,
    model_name: event.model?.name ?? null,
    model_version: event.model?.version ?? null,
    prediction_id: event.prediction_id ?? null,
  };
}
