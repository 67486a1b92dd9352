import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DatabaseLog } from './database-log';
import { postgresBinaries } from './postgres-binaries';
import { isCleanedAtBoot, postgresFolders, removeSocketFolder, socketFolder } from './postgres-folders';
import { postgresEnvironment, PostgresProcess } from './postgres-process';
import { serverAccount, type ServerAccount } from './server-account';

const MAJOR_VERSION = '18';
const PORT = 5432;
const PARTIAL = 'new-';
/** The owner of the cluster; only roles and the database are made with it. */
export const EMBEDDED_SUPERUSER = 'postgres';

/** Memory is kept small because the server shares the machine with the models. */
const SETTINGS = {
  listen_addresses: '',
  port: String(PORT),
  unix_socket_permissions: '0700',
  max_connections: '50',
  shared_buffers: '64MB',
  huge_pages: 'off',
  jit: 'off',
  // No processes for parallel queries, replication or asynchronous reads: each costs memory while idle.
  max_worker_processes: '0',
  max_parallel_workers: '0',
  max_logical_replication_workers: '0',
  max_wal_senders: '0',
  wal_level: 'minimal',
  io_method: 'sync',
  autovacuum_max_workers: '1',
  max_wal_size: '512MB',
  checkpoint_timeout: '15min',
  timezone: 'UTC',
  log_timezone: 'UTC',
  // Failed statements are ours to report, and their text may hold what nobody should read.
  log_min_messages: 'log',
  log_min_error_statement: 'panic',
  cluster_name: 'sibyl',
} as const;

export interface EmbeddedPostgresOptions {
  /** The data folder that was asked for; the cluster may lie elsewhere, see `folder`. */
  readonly folder: string;
  /** Server settings that differ from ours, such as `fsync: 'off'` in tests. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Only uses the server that another process runs on the folder, and waits for it. */
  readonly joinOnly?: boolean;
  /** A server that recovers from a crash replays up to 512 MB of log before it accepts connections. */
  readonly startTimeoutMs?: number;
}

/** How a client reaches the server. */
export interface PostgresAddress {
  readonly host: string;
  readonly port: number;
}

/**
 * A real PostgreSQL from npm binaries, private to this user: no network, no password, a socket in a 0700 folder. It is
 * started again when it dies, stops with this process however that ends, and is shared with a process that already
 * runs it on the same folder.
 */
export class EmbeddedPostgres {
  private server: PostgresProcess | undefined;
  private sockets = '';
  private stopping = false;
  private watching: Promise<void> = Promise.resolve();

  private constructor(
    private readonly options: Required<EmbeddedPostgresOptions>,
    private readonly log: DatabaseLog,
    private readonly account: ServerAccount | undefined,
    /** Where the database lies. */
    readonly folder: string,
    private readonly binaries: string,
  ) {}

  static async start(options: EmbeddedPostgresOptions, log: DatabaseLog): Promise<EmbeddedPostgres> {
    const account = serverAccount();
    const folders = postgresFolders(path.resolve(options.folder), account);
    const binaries = postgresBinaries(folders.home, account);
    const complete = { settings: {}, startTimeoutMs: 60_000, joinOnly: false, ...options };
    const embedded = new EmbeddedPostgres(complete, log, account, folders.home, binaries);
    if (complete.joinOnly) {
      await embedded.join();
      return embedded;
    }
    if (folders.elsewhere) reportPlace(folders.home, account, log);
    await embedded.initialize();
    await embedded.join();
    embedded.removePartial();
    embedded.watching = embedded.watch();
    return embedded;
  }

  get address(): PostgresAddress {
    return { host: this.sockets, port: PORT };
  }

  /** Of the postmaster, whoever started it. */
  get pid(): number | undefined {
    return this.server?.pid ?? this.lockFile()?.pid;
  }

  /** Whether another process started the server that is in use. */
  get isShared(): boolean {
    return this.server === undefined;
  }

  url(user: string, database: string): string {
    return `postgres:///${database}?host=${encodeURIComponent(this.sockets)}&port=${PORT}&user=${user}`;
  }

  /** Stops the server if this process started it. */
  async stop(): Promise<void> {
    this.stopping = true;
    await this.server?.stop();
    await this.watching;
    if (this.server) removeSocketFolder(this.sockets, this.cluster);
  }

  private get cluster(): string {
    return path.join(this.folder, MAJOR_VERSION);
  }

  /** Makes the cluster in a folder of its own and renames it, so that a half-made one is never taken for a whole. */
  private async initialize(): Promise<void> {
    if (existsSync(path.join(this.cluster, 'PG_VERSION'))) return;
    const partial = path.join(this.folder, `${PARTIAL}${randomBytes(6).toString('hex')}`);
    try {
      await this.initdb(partial);
      renameSync(partial, this.cluster);
    } catch (error) {
      rmSync(partial, { recursive: true, force: true });
      // Another process may have been faster; its cluster is as good as ours.
      if (!existsSync(path.join(this.cluster, 'PG_VERSION'))) throw error;
    }
  }

  /** Whoever was killed while making a cluster left it half-made; once a server runs, nobody needs those. */
  private removePartial(): void {
    for (const name of readdirSync(this.folder).filter((entry) => entry.startsWith(PARTIAL))) {
      try {
        rmSync(path.join(this.folder, name), { recursive: true, force: true });
      } catch (error) {
        // Somebody who lost the race is still writing into it, and will remove it; else the next start does.
        this.log.info({ err: error, name }, 'a half-made database cluster could not be removed yet');
      }
    }
  }

  private initdb(folder: string): Promise<void> {
    const { uid, gid } = this.account ?? {};
    const args = ['-D', folder, '-U', EMBEDDED_SUPERUSER, '--auth=trust', '--encoding=UTF8', '--no-sync'];
    args.push('--no-instructions', '--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8');
    const child = spawn(path.join(this.binaries, 'bin/initdb'), args, {
      ...(uid !== undefined && gid !== undefined ? { uid, gid } : {}),
      cwd: '/',
      env: postgresEnvironment(),
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let words = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (words = (words + text).slice(-4000)));
    return new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code) => (code === 0 ? resolve() : reject(new Error(`initdb failed: ${words.trim()}`))));
    });
  }

  /** Uses the server that runs on this folder, or starts one; of several that try at once, one wins and all share it. */
  private async join(): Promise<void> {
    const deadline = performance.now() + this.options.startTimeoutMs;
    for (;;) {
      const running = this.lockFile();
      if (running && (await accepts(running.sockets))) {
        this.server = undefined;
        this.sockets = running.sockets;
        return;
      }
      try {
        if (this.options.joinOnly) throw new Error('no server runs on the folder: there is no lock file');
        // The place that clients know already, where there is one.
        const previous = running?.sockets ?? (this.sockets || undefined);
        this.sockets = socketFolder(this.cluster, previous, this.account);
        this.server = await this.launch(deadline - performance.now());
        return;
      } catch (error) {
        // A server that is starting or stopping, or orphans of a killed one that have not noticed yet.
        const passing = /lock file|pre-existing shared memory block/.test(String(error));
        if (!passing || this.stopping || performance.now() > deadline) throw error;
        await sleep(100);
      }
    }
  }

  private launch(timeoutMs: number): Promise<PostgresProcess> {
    const settings = { ...SETTINGS, unix_socket_directories: quoted(this.sockets), ...this.options.settings };
    const args = [
      '-D',
      this.cluster,
      ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
    ];
    const onLine = (line: string): void => this.report(line);
    const program = path.join(this.binaries, 'bin/postgres');
    return PostgresProcess.start({ program, args, account: this.account, onLine }, timeoutMs);
  }

  /** Brings the server back whenever it ends, until we stop it ourselves. */
  private async watch(): Promise<void> {
    let pauseMs = 100;
    while (!this.stopping) {
      await (this.server ? this.server.ended : this.sharedServerEnds());
      if (this.stopping) return;
      this.log.warn({ pid: this.pid }, 'the embedded database ended and is started again');
      try {
        await this.join();
        pauseMs = 100;
      } catch (error) {
        this.log.error({ err: error }, 'the embedded database could not be started again');
        await sleep(pauseMs, undefined, { ref: false });
        pauseMs = Math.min(pauseMs * 2, 5000);
      }
    }
  }

  private async sharedServerEnds(): Promise<void> {
    while (!this.stopping) {
      const pid = this.lockFile()?.pid;
      if (pid === undefined || !isAlive(pid)) return;
      await sleep(500, undefined, { ref: false });
    }
  }

  private lockFile(): { pid: number; sockets: string } | undefined {
    try {
      const lines = readFileSync(path.join(this.cluster, 'postmaster.pid'), 'utf8').split('\n');
      return { pid: Number(lines[0]), sockets: lines[4] ?? '' };
    } catch {
      return undefined;
    }
  }

  /** FATAL ends one session, whose client reports it; PANIC ends the server. */
  private report(line: string): void {
    if (line.includes(' PANIC: ')) this.log.error({ line }, 'the embedded database panicked');
    else this.log.debug({ line }, 'the embedded database says');
  }
}

function reportPlace(folder: string, account: ServerAccount | undefined, log: DatabaseLog): void {
  const fields = { folder, user: account?.name };
  if (isCleanedAtBoot(folder)) {
    log.warn(
      fields,
      'the embedded database lies in a folder that the machine may empty when it starts, and all data would be lost: ' +
        'choose a data folder that its user may enter, or set DATABASE_URL',
    );
  } else log.info(fields, 'the embedded database lies outside the data folder, where its user may enter');
}

/** As an element of PostgreSQL's list of socket folders, in which a comma would end it. */
function quoted(folder: string): string {
  return `"${folder.replaceAll('"', '""')}"`;
}

/** Whether something listens on the socket; it may still be starting or frozen. */
function accepts(sockets: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path.join(sockets, `.s.PGSQL.${PORT}`));
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
