import { Client, type ClientConfig } from 'pg';
import { isUnreachable, sqlState } from './database-errors';
import type { DatabaseLog } from './database-log';
import type { Reachability } from './reachability';
import { answered, cut } from './silence';

export interface LookoutLimits {
  readonly connectTimeoutMs: number;
  readonly heartbeatMs: number;
  readonly reconnectPauseMs: number;
}

type OnNotify = (payload: string) => void;

/**
 * One connection that hears the NOTIFYs of all channels and watches whether the server answers. It is the only caller
 * that keeps trying while the server is down, and so decides when it is back.
 */
export class Lookout {
  private readonly channels = new Map<string, Set<OnNotify>>();
  private readonly unheard = new Set<string>();
  private readonly waiting = new Set<() => void>();
  private client: Client | undefined;
  private endPause: () => void = () => undefined;
  private woken = false;
  private closed = false;
  private running: Promise<void> = Promise.resolve();

  constructor(
    private readonly config: ClientConfig,
    private readonly limits: LookoutLimits,
    private readonly reachability: Reachability,
    private readonly log: DatabaseLog,
  ) {
    // Somebody met an error: ask the server at once, so that one bad connection does not count as an outage for long.
    reachability.onChange((up) => {
      if (!up) this.wake();
    });
  }

  start(): void {
    this.running = this.run();
  }

  /** Resolves when the server listens, or at once while it is down: then a call with '' follows when it is back. */
  async listen(channel: string, onNotify: OnNotify): Promise<() => void> {
    const listeners = this.channels.get(channel) ?? new Set();
    const isNew = listeners.size === 0;
    listeners.add(onNotify);
    this.channels.set(channel, listeners);
    if (isNew && this.client) {
      this.unheard.add(channel);
      await new Promise<void>((resolve) => {
        this.waiting.add(resolve);
        this.wake();
      });
    }
    return () => listeners.delete(onNotify);
  }

  async close(): Promise<void> {
    this.closed = true;
    this.wake();
    if (this.client) cut(this.client);
    await this.running;
  }

  private async run(): Promise<void> {
    while (!this.closed) {
      try {
        await this.session();
      } catch (error) {
        this.lost(error);
      }
      this.client = undefined;
      this.settleWaiting();
      this.woken = false;
      await this.pause(this.limits.reconnectPauseMs);
    }
  }

  private async session(): Promise<void> {
    const client = new Client({ ...this.config, connectionTimeoutMillis: this.limits.connectTimeoutMs });
    client.on('error', () => this.wake());
    client.on('notification', ({ channel, payload }) => this.tell(channel, payload ?? ''));
    try {
      await client.connect();
      this.channels.forEach((_listeners, channel) => this.unheard.add(channel));
      this.client = client;
      await this.listenTo(client);
      this.reachability.succeeded();
      // What was notified in between was not heard, so everyone looks for himself.
      for (const channel of this.channels.keys()) this.tell(channel, '');
      while (!this.closed) {
        await this.pause(this.limits.heartbeatMs);
        await this.listenTo(client);
        await answered(client, client.query('SELECT 1'), this.limits.connectTimeoutMs);
        this.reachability.succeeded();
      }
    } finally {
      cut(client);
    }
  }

  private async listenTo(client: Client): Promise<void> {
    for (const channel of this.unheard) {
      this.unheard.delete(channel);
      await answered(client, client.query(`LISTEN ${client.escapeIdentifier(channel)}`), this.limits.connectTimeoutMs);
    }
    this.settleWaiting();
  }

  private settleWaiting(): void {
    for (const resolve of this.waiting) resolve();
    this.waiting.clear();
  }

  private lost(error: unknown): void {
    if (this.closed) return;
    if (!isUnreachable(error)) this.log.warn({ err: error }, 'the listening connection of the database failed');
    // "Too many connections" is the answer of a server that works; the pool may well have connections to it.
    if (sqlState(error) === '53300') this.reachability.succeeded();
    else this.reachability.failed(error);
  }

  private tell(channel: string, payload: string): void {
    for (const onNotify of this.channels.get(channel) ?? []) {
      try {
        onNotify(payload);
      } catch (error) {
        this.log.error({ err: error, channel }, 'a listener of the database failed');
      }
    }
  }

  private wake(): void {
    this.woken = true;
    this.endPause();
  }

  private async pause(ms: number): Promise<void> {
    if (!this.closed && !this.woken) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ms);
        this.endPause = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    this.woken = false;
  }
}
