import { spawn, type ChildProcess } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ServerAccount } from './server-account';

/**
 * Starts the server so that it cannot outlive us. Our end of the pipe on the watcher's input closes however we die,
 * even by SIGKILL; the watcher then stops the server, waking it first if it was frozen. A line instead of the end
 * means that the watcher is not needed any more. The watcher is the server's child, so it must always exit with 0: any
 * other status looks to PostgreSQL like the crash of one of its own.
 */
const LAUNCH_SCRIPT = `
exec 3<&0 </dev/null
(
  if read -r ended <&3; then exit 0; fi
  kill -INT $$; kill -CONT $$
  for turn in 1 2 3 4 5 6 7 8 9 10 11 12; do
    kill -0 $$ || exit 0
    sleep 0.5
  done
  kill -QUIT $$
  exit 0
) >/dev/null 2>&1 &
exec "$@" 3<&-
`;

/** Long enough for the shutdown checkpoint on a busy disk. */
const FAST_STOP_MS = 2500;
/** PostgreSQL itself kills what does not obey an immediate shutdown, after 5 s; together still below the drain's 10 s. */
const IMMEDIATE_STOP_MS = 6000;

export interface PostgresCommand {
  readonly program: string;
  readonly args: readonly string[];
  readonly account: ServerAccount | undefined;
  readonly onLine: (line: string) => void;
}

/** The environment of every PostgreSQL program: nothing of ours, and messages in the language that we look for. */
export function postgresEnvironment(): NodeJS.ProcessEnv {
  return { PATH: '/usr/local/bin:/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC', HOME: '/' };
}

/** One running postmaster. */
export class PostgresProcess {
  /** Settles when the server has ended, with its last words. */
  readonly ended: Promise<string>;
  private tail = '';

  private constructor(
    private readonly child: ChildProcess,
    private readonly onLine: (line: string) => void,
  ) {
    this.ended = this.watch();
  }

  /** Resolves when the server accepts connections; rejects with its last words when it ends before. */
  static async start(command: PostgresCommand, timeoutMs: number): Promise<PostgresProcess> {
    const { uid, gid } = command.account ?? {};
    const child = spawn('/bin/sh', ['-c', LAUNCH_SCRIPT, 'sibyl-postgres', command.program, ...command.args], {
      ...(uid !== undefined && gid !== undefined ? { uid, gid } : {}),
      cwd: '/',
      env: postgresEnvironment(),
      // A group of its own: Ctrl-C in the terminal reaches us, and we stop the server after the drain.
      detached: true,
      stdio: ['pipe', 'ignore', 'pipe'],
    });
    const server = new PostgresProcess(child, command.onLine);
    await server.ready(timeoutMs);
    server.letNodeEnd();
    return server;
  }

  get pid(): number | undefined {
    return this.child.pid;
  }

  get isRunning(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  /** A fast shutdown; harder ones follow when that does not end it in time. */
  async stop(): Promise<void> {
    if (!this.isRunning) return;
    this.child.ref();
    // The watcher ends first, while the server is still there to collect its exit status.
    this.dismissWatcher();
    this.child.kill('SIGINT');
    this.child.kill('SIGCONT');
    if (await this.endsWithin(FAST_STOP_MS)) return;
    this.child.kill('SIGQUIT');
    if (await this.endsWithin(IMMEDIATE_STOP_MS)) return;
    this.child.kill('SIGKILL');
    await this.ended;
  }

  private watch(): Promise<string> {
    const { child } = this;
    // Writing to a watcher that is gone already must not become an unhandled error.
    child.stdin?.on('error', () => undefined);
    child.stderr?.setEncoding('utf8').on('data', (text: string) => this.read(text));
    return new Promise((resolve) => {
      child.once('error', (error) => resolve(error.message));
      child.once('exit', () => {
        this.dismissWatcher();
        resolve(this.tail);
      });
    });
  }

  private dismissWatcher(): void {
    if (this.child.stdin?.writable) this.child.stdin.end('ended\n');
  }

  private read(text: string): void {
    this.tail = (this.tail + text).slice(-4000);
    for (const line of text.split('\n')) if (line.trim() !== '') this.onLine(line.trim());
  }

  private async ready(timeoutMs: number): Promise<void> {
    const announced = new Promise<'ready'>((resolve) => {
      const look = (): void => {
        if (!this.tail.includes('ready to accept connections')) return;
        this.child.stderr?.off('data', look);
        resolve('ready');
      };
      this.child.stderr?.on('data', look);
    });
    const limit = new AbortController();
    const late = sleep(timeoutMs, 'late' as const, { signal: limit.signal }).catch(() => 'late' as const);
    const outcome = await Promise.race([announced, this.ended.then(() => 'ended' as const), late]);
    limit.abort();
    if (outcome === 'ready') return;
    if (outcome === 'late') await this.stop();
    throw new Error(`PostgreSQL did not start: ${await this.ended}`);
  }

  /** A program that has nothing else to do may end; the watcher then stops the server. */
  private letNodeEnd(): void {
    this.child.unref();
    for (const stream of [this.child.stdin, this.child.stderr])
      (stream as unknown as { unref?: () => void } | null)?.unref?.();
  }

  private endsWithin(timeoutMs: number): Promise<boolean> {
    const limit = new AbortController();
    const late = sleep(timeoutMs, false, { signal: limit.signal }).catch(() => false);
    return Promise.race([this.ended.then(() => true), late]).finally(() => limit.abort());
  }
}
