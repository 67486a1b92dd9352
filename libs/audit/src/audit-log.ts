import { DomainError, isUuid } from '@sibyl/kernel';
import type { Database } from '@sibyl/database';
import type { AuditEvent } from './audit-event';
import type { AuditTrail } from './audit-trail';
import { filterConditions, filterDigest, type EventFilter } from './event-filter';
import { payloadOf } from './frame';
import { decodeCursor, encodeCursor, type EventInstant, type EventOrder, type PagePosition } from './page-cursor';
import { PayloadCipher, payloadKeyId } from './payload-cipher';

export interface EventPageRequest {
  /** 1 to 1,000. */
  readonly limit?: number | undefined;
  /** Newest first unless said otherwise. */
  readonly order?: EventOrder | undefined;
  readonly cursor?: string | undefined;
}

export interface EventPage {
  readonly items: AuditEvent[];
  /** Cursor of the next page; absent on the last. */
  readonly next?: string;
}

export interface RecordedPrediction {
  readonly event: AuditEvent;
  /** The JSON text that was committed with the event; absent where none was, or it was erased. */
  readonly payload: string | undefined;
}

/** Where an event lies, and what it was hashed to. */
export interface TracedEvent {
  readonly id: string;
  readonly recorded_at: string;
  readonly action: string;
  readonly outcome: string;
  readonly actor_name: string;
  readonly chain: string;
  readonly seq: number;
  readonly leaf: string;
  readonly chain_hash: string;
}

export interface ChainHead {
  readonly chain: string;
  readonly kind: string;
  readonly seq: number;
  readonly head: string;
}

export interface EventTrace {
  /** The newest, oldest of them first. */
  readonly events: readonly TracedEvent[];
  /** Of all there are. */
  readonly events_count: number;
  readonly heads: readonly ChainHead[];
}

export interface AuditLogParts {
  readonly database: Database;
  /** Brings what was committed before a call to PostgreSQL. */
  readonly trail: Pick<AuditTrail, 'flush'>;
  /** The present key first, then those that older payloads were sealed with. */
  readonly payloadKeys: readonly Uint8Array[];
}

interface EventRow {
  readonly body: Buffer;
}

interface PredictionRow extends EventRow {
  readonly chain_id: string;
  readonly seq: string;
  readonly first_seq: string | null;
  readonly last_seq: string | null;
  readonly key_id: Buffer | null;
  readonly iv: Buffer | null;
  readonly tag: Buffer | null;
  readonly ciphertext: Buffer | null;
}

/** What was changed of a model version; what only read it, and its predictions, are not asked for. */
const TRACED = [
  ...['register', 'validate', 'approve', 'archive', 'promote', 'rollback', 'export', 'delete', 'check', 'expire'],
]
  .map((verb) => `'model.${verb}'`)
  .join();
const HEADS_MOST = 100;
const DEFAULT_LIMIT = 100;
const MOST_LIMIT = 1000;

// The payload of an event lies in the frame with the largest first number that is not above its own.
const FIND_PREDICTION = `
SELECT e.body, e.chain_id, e.seq, p.first_seq, p.last_seq, p.key_id, p.iv, p.tag, p.ciphertext
FROM audit.event e LEFT JOIN LATERAL (
  SELECT * FROM audit.payload WHERE chain_id = e.chain_id AND first_seq <= e.seq ORDER BY first_seq DESC LIMIT 1
) p ON p.last_seq >= e.seq
WHERE e.prediction_id = $1 ORDER BY e.action <> 'prediction.create', e.recorded_at, e.id LIMIT 1`;

/** Reads the audit log, with the rights of a reader. What this process has committed before a call is in its answer. */
export class AuditLog {
  private readonly keys: ReadonlyMap<string, Uint8Array>;

  constructor(private readonly parts: AuditLogParts) {
    this.keys = new Map(parts.payloadKeys.map((key) => [payloadKeyId(key).toString('hex'), key]));
  }

  async list(filter: EventFilter, page: EventPageRequest = {}): Promise<EventPage> {
    const order = page.order ?? 'desc';
    const limit = Math.min(MOST_LIMIT, Math.max(1, Math.trunc(page.limit ?? DEFAULT_LIMIT)));
    const digest = filterDigest(filter);
    const position = page.cursor === undefined ? undefined : decodeCursor(page.cursor, { order, filterDigest: digest });
    await this.parts.trail.flush();
    const asOf = position?.asOf ?? (await this.newest());
    const items = await this.select(filter, order, limit + 1, position);
    const last = items[limit - 1];
    if (items.length <= limit || !last || !asOf) return { items };
    items.length = limit;
    return { items, next: encodeCursor({ order, filterDigest: digest, last: instantOf(last), asOf }) };
  }

  /** Undefined where there is none, whatever `id` looks like. */
  async find(id: string): Promise<AuditEvent | undefined> {
    if (!isUuid(id)) return undefined;
    await this.parts.trail.flush();
    const [row] = await this.parts.database.auditQuery<EventRow>('SELECT body FROM audit.event WHERE id = $1', [id]);
    return row && parseBody(row);
  }

  /** The event that recorded a prediction, with its inputs and outputs. */
  async prediction(id: string): Promise<RecordedPrediction | undefined> {
    if (!isUuid(id)) return undefined;
    await this.parts.trail.flush();
    const [row] = await this.parts.database.auditQuery<PredictionRow>(FIND_PREDICTION, [id]);
    return row && { event: parseBody(row), payload: this.openPayload(row) };
  }

  /** The newest changes of a version, with the hashes by which each is found and proven here, and the chains as they end now. */
  async traceOf(model: string, version: string): Promise<EventTrace> {
    await this.parts.trail.flush();
    const { database } = this.parts;
    const where = `model_name = $1 AND model_version = $2 AND action IN (${TRACED})`;
    const newest = await database.auditQuery<TracedEvent>(
      `SELECT id, to_char(recorded_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS recorded_at, action, outcome, actor_name,
         chain_id AS chain, seq::double precision, encode(leaf, 'hex') AS leaf,
         encode(chain_hash, 'hex') AS chain_hash
       FROM audit.event WHERE ${where} ORDER BY event.recorded_at DESC, id DESC LIMIT ${MOST_LIMIT}`,
      [model, version],
    );
    const [counted] = await database.auditQuery<{ count: string }>(
      `SELECT count(*) AS count FROM audit.event WHERE ${where}`,
      [model, version],
    );
    const heads = await database.auditQuery<ChainHead>(
      `SELECT chain_id AS chain, kind, last_seq::double precision AS seq, encode(head, 'hex') AS head FROM audit.chain
       ORDER BY opened_at DESC LIMIT ${HEADS_MOST}`,
    );
    return { events: newest.reverse(), events_count: Number(counted?.count ?? 0), heads };
  }

  private async newest(): Promise<EventInstant | undefined> {
    const [event] = await this.select({}, 'desc', 1, undefined);
    return event && instantOf(event);
  }

  private async select(
    filter: EventFilter,
    order: EventOrder,
    rows: number,
    position: PagePosition | undefined,
  ): Promise<AuditEvent[]> {
    const { conditions, values } = filterConditions(filter);
    const parameter = (value: unknown): string => `$${values.push(value)}`;
    if (position) {
      const place = ({ recordedAt, id }: EventInstant): string =>
        `(${parameter(recordedAt)}::timestamptz, ${parameter(id)}::uuid)`;
      conditions.push(`(recorded_at, id) ${order === 'asc' ? '>' : '<'} ${place(position.last)}`);
      conditions.push(`(recorded_at, id) <= ${place(position.asOf)}`);
    }
    const where = conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`;
    const sql = `SELECT body FROM audit.event ${where} ORDER BY recorded_at ${order}, id ${order} LIMIT ${parameter(rows)}`;
    return (await this.parts.database.auditQuery<EventRow>(sql, values)).map(parseBody);
  }

  private openPayload(row: PredictionRow): string | undefined {
    const { key_id: keyId, iv, tag, ciphertext } = row;
    if (!keyId || !iv || !tag || !ciphertext) return undefined;
    const key = this.keys.get(keyId.toString('hex'));
    const firstSeq = Number(row.first_seq);
    const count = Number(row.last_seq) - firstSeq + 1;
    try {
      if (!key) throw new Error('no key has the id of the payload');
      const plain = new PayloadCipher(key, row.chain_id).open({ iv, tag, ciphertext }, firstSeq, count);
      return payloadOf(plain, Number(row.seq) - firstSeq);
    } catch (cause) {
      throw new DomainError('internal_error', 'The recorded inputs and outputs cannot be read.', { cause });
    }
  }
}

function instantOf(event: AuditEvent): EventInstant {
  return { recordedAt: event.recorded_at, id: event.id };
}

/** The exact text that was hashed is what is answered. */
function parseBody({ body }: EventRow): AuditEvent {
  return JSON.parse(body.toString('latin1')) as AuditEvent;
}
