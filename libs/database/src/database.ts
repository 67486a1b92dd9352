import type { ClientBase } from 'pg';
import { DataSource, type EntityManager, type QueryRunner } from 'typeorm';
import type { Connections } from './connections';
import { BoundedPool } from './bounded-pool';
import { translated } from './database-errors';
import type { DatabaseLog } from './database-log';
import { DatabaseOptions } from './database-options';
import { EmbeddedPostgres } from './embedded-postgres';
import { Lookout } from './lookout';
import type { Migration } from './migrations';
import { prepareEmbedded, prepareExternal, type PreparedDatabase } from './prepare';
import { Reachability } from './reachability';
import type { RoleSeparation } from './roles';

/** How long closing waits for statements under way. */
const CLOSE_MS = 1000;

/** How long a transaction may sit idle: its caller has died or hangs, and others may wait for its locks. */
const IDLE_TRANSACTION_MS = 10_000;

export interface DatabaseStart extends Partial<DatabaseOptions> {
  /** Every library's list, in the order in which they build on each other. */
  readonly migrations: readonly Migration[];
  /** Another process runs the embedded server and stops it. */
  readonly joinEmbedded?: boolean;
}

export interface CallLimits {
  /** For the rare call that may take longer than `statementTimeoutMs`, such as an export. */
  readonly timeoutMs?: number;
  /** Names a statement that is called often and costs more to plan than to run: each connection keeps its plan. */
  readonly prepared?: string;
}

export interface DatabaseStatus {
  readonly up: boolean;
  readonly embedded: boolean;
  readonly separation: RoleSeparation;
  /** For the log only: what the last failed attempt met. */
  readonly lastError?: unknown;
  readonly pool: { readonly size: number; readonly idle: number; readonly waiting: number };
}

/**
 * The one way to PostgreSQL. Every call ends in bounded time: when the server is down or frozen it fails with
 * `database_unavailable` within 2 s, and works again by itself when the server does.
 */
export class Database {
  private closing: Promise<void> | undefined;

  private constructor(
    private readonly source: DataSource,
    private readonly pools: { readonly app: BoundedPool; readonly audit: BoundedPool },
    private readonly lookout: Lookout,
    private readonly reachability: Reachability,
    private readonly setup: { separation: RoleSeparation; server: EmbeddedPostgres | undefined },
  ) {}

  /** Starts the embedded server where no `url` is given, waits for the database, migrates it and connects. */
  static async start(start: DatabaseStart, log: DatabaseLog): Promise<Database> {
    const { migrations, joinEmbedded = false, ...given } = start;
    const options = Object.assign(new DatabaseOptions(), given);
    const embedded = { folder: options.embeddedFolder, joinOnly: joinEmbedded };
    const server = options.url === undefined ? await EmbeddedPostgres.start(embedded, log) : undefined;
    try {
      const prepared = await (server
        ? prepareEmbedded(server, options, migrations, log)
        : prepareExternal(options, migrations, log));
      return await Database.connect(prepared, options, server, log);
    } catch (error) {
      await server?.stop();
      throw translated(error);
    }
  }

  private static async connect(
    { connections, separation }: PreparedDatabase,
    options: DatabaseOptions,
    server: EmbeddedPostgres | undefined,
    log: DatabaseLog,
  ): Promise<Database> {
    const reachability = new Reachability();
    const pools = openPools(connections, options, reachability);
    const source = await new DataSource(sourceOptions(pools.app, log)).initialize();
    const lookout = new Lookout(connections.app, options, reachability, log);
    reachability.onChange((up) => {
      if (up) log.info({}, 'the database is back');
      else log.warn({ err: reachability.lastError }, 'the database cannot be reached');
    });
    lookout.start();
    return new Database(source, pools, lookout, reachability, { separation, server });
  }

  /** Commits when `work` resolves and rolls back when it throws. */
  async transaction<T>(work: (tx: EntityManager) => Promise<T>, limits: CallLimits = {}): Promise<T> {
    const runner = this.source.createQueryRunner();
    try {
      await this.begin(runner, limits);
      const result = await work(runner.manager);
      await runner.commitTransaction();
      return result;
    } catch (error) {
      // A connection that is gone has rolled back already.
      if (runner.isTransactionActive && !runner.isReleased) await runner.rollbackTransaction().catch(() => undefined);
      throw translated(error);
    } finally {
      await runner.release();
    }
  }

  /** One statement with the application's rights; `$1` are parameters. */
  query<T>(sql: string, params: readonly unknown[] = [], limits: CallLimits = {}): Promise<T[]> {
    return this.run(this.pools.app, sql, params, limits);
  }

  /** One statement with the rights of the audit role, which may only read. */
  auditQuery<T>(sql: string, params: readonly unknown[] = [], limits: CallLimits = {}): Promise<T[]> {
    return this.run(this.pools.audit, sql, params, limits);
  }

  /**
   * Calls back for every NOTIFY on the channel, and with '' after every reconnect, when some may have been missed.
   * Resolves to a function that ends it.
   */
  listen(channel: string, onNotify: (payload: string) => void): Promise<() => void> {
    return this.lookout.listen(channel, onNotify);
  }

  status(): DatabaseStatus {
    const { app } = this.pools;
    const { lastError } = this.reachability;
    return {
      up: this.reachability.isUp,
      embedded: this.setup.server !== undefined,
      separation: this.setup.separation,
      ...(lastError === undefined ? {} : { lastError }),
      pool: { size: app.totalCount, idle: app.idleCount, waiting: app.waitingCount },
    };
  }

  /** Ends all connections, and the embedded server if this process started it. May be called twice. */
  close(): Promise<void> {
    this.closing ??= this.end();
    return this.closing;
  }

  private async begin(runner: QueryRunner, { timeoutMs }: CallLimits): Promise<void> {
    const client: unknown = await runner.connect();
    if (timeoutMs !== undefined) this.pools.app.allow(client as ClientBase, timeoutMs);
    await runner.startTransaction();
    if (timeoutMs !== undefined) await runner.query(`SET LOCAL statement_timeout = ${Math.ceil(timeoutMs)}`);
  }

  private async run<T>(pool: BoundedPool, sql: string, params: readonly unknown[], limits: CallLimits): Promise<T[]> {
    try {
      return await pool.run<T>(sql, params, limits);
    } catch (error) {
      throw translated(error);
    }
  }

  private async end(): Promise<void> {
    await this.lookout.close();
    await Promise.all([this.pools.app.close(), this.pools.audit.close()]);
    await this.setup.server?.stop();
  }
}

function openPools(
  connections: Connections,
  options: DatabaseOptions,
  reachability: Reachability,
): { app: BoundedPool; audit: BoundedPool } {
  const limits = {
    waitingCallers: options.waitingCallers,
    statementTimeoutMs: options.statementTimeoutMs,
    silenceMs: options.silenceMs,
    closeMs: CLOSE_MS,
  };
  const shared = {
    connectionTimeoutMillis: options.connectTimeoutMs,
    statement_timeout: options.statementTimeoutMs,
    idle_in_transaction_session_timeout: IDLE_TRANSACTION_MS,
    idleTimeoutMillis: options.idleConnectionMs,
  };
  return {
    app: new BoundedPool({ ...connections.app, ...shared, max: options.poolSize }, limits, reachability),
    audit: new BoundedPool({ ...connections.audit, ...shared, max: options.auditPoolSize }, limits, reachability),
  };
}

/** TypeORM is given our pool instead of making its own, so that its calls are bounded like all others. */
function sourceOptions(pool: BoundedPool, log: DatabaseLog): ConstructorParameters<typeof DataSource>[0] {
  const driver = {
    Pool: function borrowed(): BoundedPool {
      return pool;
    },
  };
  return {
    type: 'postgres',
    driver,
    nativeDriver: {},
    installExtensions: false,
    logging: false,
    poolErrorHandler: (error: unknown) => log.debug({ err: error }, 'an idle connection was lost'),
  };
}
