import type { Database } from '@sibyl/database';
import { invariant } from '@sibyl/kernel';
import type { EntityManager } from 'typeorm';
import { chainHash, ChainHasher, HASH_BYTES, leafHash } from './hash-chain';
import type { SpoolBatch } from './spool-batch';

export type ChainKind = 'spool' | 'database';

/** How far a chain has come in PostgreSQL. */
export interface ChainHead {
  readonly seq: number;
  readonly hash: Buffer;
}

interface HeadRow {
  readonly last_seq: string;
  readonly head: Buffer;
}

/** Between two slices of hashing the event loop turns: 2,000 events in one go would hold up every prediction by 5 ms. */
const HASH_SLICE = 128;

// PostgreSQL takes the columns out of the body, so that they cannot differ from it and cost this process nothing.
const COLUMNS = `id, chain_id, seq, recorded_at, occurred_at, action, outcome, status, actor_type, actor_id, actor_name,
  key_id, ip, request_id, resource_type, resource_id, model_name, model_version, prediction_id, body, leaf, chain_hash`;
const VALUES = `(j->>'id')::uuid, (j->>'chain')::uuid, (j->>'seq')::bigint, (j->>'recorded_at')::timestamptz,
  (j->>'occurred_at')::timestamptz, j->>'action', j->>'outcome', (j->>'status')::integer, j#>>'{actor,type}',
  j#>>'{actor,id}', j#>>'{actor,name}', j#>>'{actor,key_id}', j->>'ip', j->>'request_id', j#>>'{resource,type}',
  j#>>'{resource,id}', j#>>'{model,name}', j#>>'{model,version}', j->>'prediction_id'`;

// MATERIALIZED: otherwise the planner repeats the parsing of a body for each of its columns, ten times the work.
const INSERT_BATCH = `
WITH moved AS (
  UPDATE audit.chain SET last_seq = $3::bigint, head = $4
  WHERE chain_id = $1::uuid AND last_seq = $2::bigint RETURNING chain_id
), parts AS MATERIALIZED (
  SELECT substring($5::bytea FROM at + 1 FOR length) AS body,
         substring($8::bytea FROM (64 * (n - 1) + 1)::integer FOR 32) AS leaf,
         substring($8::bytea FROM (64 * (n - 1) + 33)::integer FOR 32) AS chain_hash
  FROM unnest($6::integer[], $7::integer[]) WITH ORDINALITY AS part(at, length, n)
), parsed AS MATERIALIZED (
  SELECT body, leaf, chain_hash, convert_from(body, 'UTF8')::jsonb AS j FROM parts
), events AS (
  INSERT INTO audit.event (${COLUMNS})
  SELECT ${VALUES}, body, leaf, chain_hash FROM parsed WHERE EXISTS (SELECT FROM moved)
), payloads AS (
  INSERT INTO audit.payload (chain_id, first_seq, last_seq, recorded_at, key_id, iv, tag, ciphertext)
  SELECT $1::uuid, first_seq, last_seq, $14::timestamptz, substring($13::bytea FROM (36 * (n - 1) + 1)::integer FOR 8),
         substring($13::bytea FROM (36 * (n - 1) + 9)::integer FOR 12),
         substring($13::bytea FROM (36 * (n - 1) + 21)::integer FOR 16), substring($5::bytea FROM at + 1 FOR length)
  FROM unnest($9::bigint[], $10::bigint[], $11::integer[], $12::integer[]) WITH ORDINALITY
    AS sealed(first_seq, last_seq, at, length, n)
  WHERE EXISTS (SELECT FROM moved)
)
SELECT count(*)::integer AS moved FROM moved`;

/** The tables of the audit log, as far as events come in. */
export class EventStore {
  constructor(
    private readonly database: Database,
    private readonly instance: string,
  ) {}

  /** Makes the chain known, once, and answers how far it is. */
  async openChain(chain: string, kind: ChainKind): Promise<ChainHead> {
    await this.database.query(
      'INSERT INTO audit.chain (chain_id, kind, instance) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING',
      [chain, kind, this.instance],
    );
    return this.head(chain);
  }

  async head(chain: string): Promise<ChainHead> {
    const rows = await this.database.query<HeadRow>('SELECT last_seq, head FROM audit.chain WHERE chain_id = $1', [
      chain,
    ]);
    const [row] = rows;
    invariant(row, 'the chain was opened');
    return toHead(row);
  }

  async closeChain(chain: string): Promise<void> {
    await this.database.query('UPDATE audit.chain SET closed_at = now() WHERE chain_id = $1 AND closed_at IS NULL', [
      chain,
    ]);
  }

  /** Partitions of the month of each of these times. */
  async ensureMonths(times: readonly number[]): Promise<void> {
    for (const ms of times) await this.database.query('SELECT audit.ensure_month($1)', [new Date(ms)]);
  }

  /**
   * Adds a batch behind `head`, or nothing at all where the chain has moved on meanwhile (an earlier attempt had
   * arrived): then undefined. One statement, so that events, payloads and head go together.
   */
  async append(chain: string, head: ChainHead, batch: SpoolBatch): Promise<ChainHead | undefined> {
    const { chunk, offsets, lengths, firstSeq, payloads } = batch;
    const hasher = new ChainHasher(head.hash);
    const hashes = Buffer.allocUnsafe(2 * HASH_BYTES * offsets.length);
    for (let i = 0; i < offsets.length; i++) {
      hasher.add(chunk, offsets[i] ?? 0, lengths[i] ?? 0, hashes, 2 * HASH_BYTES * i);
      if (i % HASH_SLICE === HASH_SLICE - 1) await nextTurn();
    }
    const next: ChainHead = { seq: firstSeq + offsets.length - 1, hash: hasher.head };
    const rows = await this.database.query<{ moved: number }>(INSERT_BATCH, [
      chain,
      head.seq,
      next.seq,
      next.hash,
      chunk,
      arrayText(offsets),
      arrayText(lengths),
      hashes,
      arrayText(payloads.map((payload) => payload.firstSeq)),
      arrayText(payloads.map((payload) => payload.lastSeq)),
      arrayText(payloads.map((payload) => payload.offset)),
      arrayText(payloads.map((payload) => payload.length)),
      Buffer.concat(payloads.flatMap(({ keyId, iv, tag }) => [keyId, iv, tag])),
      recordedAt(batch),
    ]);
    return rows[0]?.moved === 1 ? next : undefined;
  }

  /** Adds one event in the transaction of the change that it is about; the head stays locked until that ends. */
  async appendIn(tx: EntityManager, chain: string, bodyOf: (seq: number) => string): Promise<void> {
    const head = (await this.lockHead(tx, chain)) ?? (await this.beginChain(tx, chain));
    const seq = head.seq + 1;
    const body = Buffer.from(bodyOf(seq), 'latin1');
    const leaf = leafHash(body);
    await tx.query(
      `WITH moved AS (UPDATE audit.chain SET last_seq = $2::bigint, head = $5 WHERE chain_id = $1::uuid)
       , parsed AS MATERIALIZED (SELECT convert_from($3::bytea, 'UTF8')::jsonb AS j)
       INSERT INTO audit.event (${COLUMNS}) SELECT ${VALUES}, $3::bytea, $4::bytea, $5::bytea FROM parsed`,
      [chain, seq, body, leaf, chainHash(head.hash, leaf)],
    );
  }

  private async lockHead(tx: EntityManager, chain: string): Promise<ChainHead | undefined> {
    const rows: unknown = await tx.query('SELECT last_seq, head FROM audit.chain WHERE chain_id = $1 FOR UPDATE', [
      chain,
    ]);
    const [row] = rows as HeadRow[];
    return row && toHead(row);
  }

  /** The first event of this process; rolled back with it, the chain is begun again by the next. */
  private async beginChain(tx: EntityManager, chain: string): Promise<ChainHead> {
    await tx.query(
      `INSERT INTO audit.chain (chain_id, kind, instance) VALUES ($1, 'database', $2) ON CONFLICT DO NOTHING`,
      [chain, this.instance],
    );
    const head = await this.lockHead(tx, chain);
    invariant(head, 'the chain was opened');
    return head;
  }
}

function toHead(row: HeadRow): ChainHead {
  return { seq: Number(row.last_seq), hash: row.head };
}

/** pg would turn an array into text number by number; this is the same text. */
function arrayText(numbers: readonly number[]): string {
  return `{${numbers.join(',')}}`;
}

/** The time of the first event puts the payloads of a batch into the partition of its month. */
function recordedAt({ chunk, offsets, lengths }: SpoolBatch): string {
  const at = offsets[0] ?? 0;
  const head = chunk.toString('latin1', at, at + Math.min(lengths[0] ?? 0, 128));
  return /"recorded_at":"([^"]*)"/.exec(head)?.[1] ?? '-infinity';
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
