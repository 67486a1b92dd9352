import { fork, type ChildProcess } from 'node:child_process';
import type { Socket } from 'node:net';
import path from 'node:path';
import type { ToPrimary, ToWorker, WorkerBegin } from './messages';

const PROGRAM = path.resolve(__dirname, '../../worker.js');

/** How a worker ended. */
export interface WorkerEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** One worker as the primary sees it. */
export class WorkerProcess {
  /** Takes connections and questions. */
  open = false;
  /** Has loaded what should serve. */
  ready = false;
  /** Open connections, as it said last. */
  connections = 0;
  /** When it was given one last, counted in turns. */
  turn = 0;
  /** A connection that it has been given and has not taken yet. */
  offered: Socket | undefined;
  /** Seconds in which it has said nothing. */
  silence = 0;
  /** Resolves when it is gone, with everything that it said before. */
  readonly gone: Promise<WorkerEnd>;
  private readonly child: ChildProcess;

  constructor(
    readonly begin: WorkerBegin,
    onMessage: (worker: WorkerProcess, message: ToPrimary) => void,
  ) {
    this.child = fork(PROGRAM, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    this.child.on('message', (message: ToPrimary) => {
      this.silence = 0;
      onMessage(this, message);
    });
    const cut = new Promise<void>((resolve) => this.child.once('disconnect', resolve));
    const ended = new Promise<WorkerEnd>((resolve) => {
      this.child.once('exit', (code, signal) => resolve({ code, signal }));
      this.child.on('error', () => this.pid === undefined && resolve({ code: 1, signal: null }));
    });
    // What it said last may still be on its way when it has ended.
    this.gone = ended.then(async (end) => {
      if (this.child.connected) await cut;
      this.open = this.ready = false;
      return end;
    });
    this.send(begin);
  }

  get index(): number {
    return this.begin.index;
  }

  get pid(): number | undefined {
    return this.child.pid;
  }

  send(message: ToWorker): void {
    // One that has just ended tells so by its end.
    if (this.child.connected) this.child.send(message, () => undefined);
  }

  /** Hands it a connection; it stays open here until the worker has taken it. */
  offer(socket: Socket): void {
    this.offered = socket;
    this.child.send({ kind: 'connection' } satisfies ToWorker, socket, { keepOpen: true }, () => undefined);
  }

  kill(): void {
    this.child.kill('SIGKILL');
  }
}
