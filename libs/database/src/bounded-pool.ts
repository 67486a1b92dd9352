import { Pool, type ClientBase, type PoolClient, type PoolConfig, type QueryResultRow } from 'pg';
import { CallRefusedError, isUnreachable } from './database-errors';
import type { Reachability } from './reachability';
import { answered, cut } from './silence';

type ConnectCallback = Parameters<Pool['connect']>[0];

export interface PoolLimits {
  readonly waitingCallers: number;
  /** PostgreSQL's own limit for a statement. */
  readonly statementTimeoutMs: number;
  /** How much longer than its limit a statement may go unanswered. */
  readonly silenceMs: number;
  /** How long closing may take before connections are cut. */
  readonly closeMs: number;
}

interface RunLimits {
  readonly timeoutMs?: number;
  readonly prepared?: string;
}

/**
 * A pool of which every call ends in bounded time, even when the server is frozen: few callers wait, unanswered
 * statements are cut off, and nothing is tried while the server is known to be down.
 */
export class BoundedPool extends Pool {
  private readonly clients = new Set<PoolClient>();
  private readonly idle = new Set<PoolClient>();
  private readonly allowances = new WeakMap<ClientBase, number>();

  constructor(
    config: PoolConfig,
    private readonly limits: PoolLimits,
    private readonly reachability: Reachability,
  ) {
    super(config);
    this.on('connect', (client) => this.admit(client));
    this.on('acquire', (client) => this.idle.delete(client));
    this.on('release', (_error, client) => this.idle.add(client));
    this.on('remove', (client) => this.forget(client));
    // An idle client that loses its connection must never end the process.
    this.on('error', (error) => this.notice(error));
    reachability.onChange((up) => {
      if (!up) this.cutIdle();
    });
  }

  override connect(): Promise<PoolClient>;
  override connect(callback: ConnectCallback): void;
  override connect(callback?: ConnectCallback): Promise<PoolClient> | void {
    const opened = this.open();
    if (!callback) return opened;
    opened.then(
      (client) => callback(undefined, client, client.release.bind(client)),
      (error: Error) => callback(error, undefined, () => undefined),
    );
  }

  /** One statement on a connection of its own; with a limit of its own it needs a transaction to set that. */
  async run<T>(sql: string, params: readonly unknown[], { timeoutMs, prepared }: RunLimits): Promise<T[]> {
    const client = await this.open();
    try {
      if (timeoutMs !== undefined) await this.extend(client, timeoutMs);
      const name = prepared === undefined ? {} : { name: prepared };
      const { rows } = await client.query<T & QueryResultRow>({ ...name, text: sql, values: [...params] });
      if (timeoutMs !== undefined) await client.query('COMMIT');
      client.release();
      return rows;
    } catch (error) {
      // Inside a transaction the connection cannot be used again; outside, only an outage spoils it.
      client.release(timeoutMs !== undefined || isUnreachable(error));
      throw error;
    }
  }

  /** Gives the statements of one client more time, until it is released. */
  allow(client: ClientBase, timeoutMs: number): void {
    this.allowances.set(client, timeoutMs);
  }

  /** Ends every connection, the unanswered ones by force. */
  async close(): Promise<void> {
    const timer = setTimeout(() => this.clients.forEach(cut), this.limits.closeMs);
    try {
      if (!this.ending) await this.end();
    } finally {
      clearTimeout(timer);
    }
  }

  private async open(): Promise<PoolClient> {
    this.reachability.check();
    if (this.waitingCount >= this.limits.waitingCallers)
      throw new CallRefusedError('too many callers wait for a connection');
    try {
      const client = await super.connect();
      this.allowances.delete(client);
      return client;
    } catch (error) {
      this.notice(error);
      throw error;
    }
  }

  private async extend(client: PoolClient, timeoutMs: number): Promise<void> {
    this.allow(client, timeoutMs);
    await client.query('BEGIN');
    await client.query(`SET LOCAL statement_timeout = ${Math.ceil(timeoutMs)}`);
  }

  private admit(client: PoolClient): void {
    this.clients.add(client);
    client.on('error', () => undefined);
    const query = client.query.bind(client) as (...args: unknown[]) => unknown;
    const guarded = (...args: unknown[]): unknown => {
      const result = query(...args);
      return result instanceof Promise ? this.guard(client, result) : result;
    };
    client.query = guarded as typeof client.query;
  }

  private async guard<T>(client: PoolClient, answer: Promise<T>): Promise<T> {
    try {
      const limitMs = this.allowances.get(client) ?? this.limits.statementTimeoutMs;
      return await answered(client, answer, limitMs + this.limits.silenceMs);
    } catch (error) {
      this.notice(error);
      throw error;
    }
  }

  /** A full pool is our own limit and says nothing about the server. */
  private notice(error: unknown): void {
    const ownLimit = error instanceof Error && error.message.startsWith('timeout exceeded when trying to connect');
    if (!ownLimit && !this.ending && isUnreachable(error)) this.reachability.failed(error);
  }

  /** When one connection has gone silent, the idle ones have too; the next caller must not wait for that to show. */
  private cutIdle(): void {
    for (const client of this.idle) cut(client);
  }

  private forget(client: PoolClient): void {
    this.clients.delete(client);
    this.idle.delete(client);
  }
}
