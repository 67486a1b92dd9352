/** Hot path. See docs/paths/predict.md. */
import { spawn, type ChildProcess } from 'node:child_process';
import type { Duplex } from 'node:stream';
import {
  FRAME_TYPES,
  FrameDecoder,
  FrameEncoder,
  FrameError,
  frameMessage,
  type FrameType,
  type ReadyMessage,
  type RunnerFrame,
  type Tensor,
} from '@sibyl/protocol';
import type { RunnerLoss } from './inference-observer';
import type { MemoryGroup, MemoryGroups } from './memory-groups';
import { memoryOf, shieldServer } from './runner-process';

/** Something that a runner does: one frame to it, one frame back. */
export interface RunnerWork {
  /** Monotonic ms after which the runner is killed. */
  readonly limitAt: number;
  answered(frame: RunnerFrame): void;
  /** Not called when the work was answered. */
  lost(end: RunnerEnd): void;
}

/** How a runner ended. `stderr` is the end of what it wrote there. */
export interface RunnerEnd {
  readonly reason: RunnerLoss | 'stopped';
  readonly code: number | null;
  readonly signal: string | null;
  readonly stderr: string;
}

export interface RunnerListener {
  /** The runner has answered its work, which is told next; the listener may start other work first. */
  onIdle(runner: Runner): void;
  onEnded(runner: Runner, end: RunnerEnd): void;
}

export interface RunnerSettings {
  readonly runnerPath: string;
  readonly workFolder: string;
  readonly maxFrameBytes: number;
  readonly niceness: number;
  readonly groups: MemoryGroups;
  /** Held to it by a control group where there is one; watching it is for whoever has the runner. */
  readonly memoryBytes: number;
}

/** The runner ended before it answered. */
export class RunnerLostError extends Error {
  override readonly name = 'RunnerLostError';

  constructor(readonly end: RunnerEnd) {
    super(`the runner ended: ${end.reason}, code ${end.code ?? '-'}, signal ${end.signal ?? '-'}. ${end.stderr}`);
  }
}

const STDERR_BYTES = 4096;

const RUNNER_ENVIRONMENT = {
  LC_ALL: 'C.UTF-8',
  TZ: 'UTC',
  // Two malloc arenas instead of eight per core: unloading then gives memory back.
  MALLOC_ARENA_MAX: '2',
  // Weights in huge pages where the system gives them on request: the kernel spent half of a load on single small ones.
  GLIBC_TUNABLES: 'glibc.malloc.hugetlb=1',
};

/**
 * One inference process. It knows nothing of ours but the model files: no environment, no network, no credentials; and
 * it can be killed at any time, which is the only way to end a run.
 */
export class Runner {
  readonly encoder: FrameEncoder;
  /** What it is doing. */
  work: RunnerWork | undefined;
  /** Sessions that are loaded. */
  readonly sessions = new Set<number>();
  ended = false;
  private readonly child: ChildProcess;
  private readonly groups: MemoryGroups;
  private readonly group: MemoryGroup | undefined;
  private readonly socket: Duplex;
  private readonly decoder: FrameDecoder;
  private reason: RunnerEnd['reason'] = 'crashed';
  private stderr = '';
  private requests = 0;
  private greeting: Promise<ReadyMessage> | undefined;

  constructor(
    settings: RunnerSettings,
    /** Who is told; another one once a spare has taken a place. */
    public listener: RunnerListener,
  ) {
    this.encoder = new FrameEncoder(settings.maxFrameBytes);
    this.decoder = new FrameDecoder(settings.maxFrameBytes);
    this.child = spawn(process.execPath, [settings.runnerPath, String(settings.maxFrameBytes)], {
      cwd: settings.workFolder,
      env: RUNNER_ENVIRONMENT,
      // 3 carries frames; on 4 nothing is said: its end tells the runner's watcher that this process is gone.
      stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'pipe'],
    });
    // First of all: without a listener a failed spawn would end the server.
    this.child.on('error', (error) => {
      this.stderr = error.message;
      if (this.child.pid === undefined) this.finish(null, null);
    });
    this.socket = this.child.stdio[3] as Duplex;
    this.listen();
    shieldServer(this.child.pid, settings.niceness);
    this.groups = settings.groups;
    this.group = settings.groups.confine(this.child.pid, settings.memoryBytes);
  }

  get pid(): number | undefined {
    return this.child.pid;
  }

  /** Whether it can take work; not while it is being ended. */
  get idle(): boolean {
    return this.work === undefined && !this.ended && this.reason === 'crashed';
  }

  rssBytes(): number | undefined {
    return this.ended ? undefined : memoryOf(this.child.pid);
  }

  /** Sends a frame; `work` is told the answer. One at a time. */
  begin(work: RunnerWork, bytes: Uint8Array): void {
    this.work = work;
    this.socket.write(bytes);
  }

  nextRequest(): number {
    this.requests = (this.requests + 1) >>> 0;
    return this.requests;
  }

  /** Resolves with what the process says first, however often it is asked for. */
  started(limitAt: number): Promise<ReadyMessage> {
    this.greeting ??= this.greet(limitAt);
    return this.greeting;
  }

  call(type: FrameType, session: number, message: object, limitAt: number): Promise<RunnerFrame> {
    return new Promise((resolve, reject) => {
      const bytes = this.encoder.message(type, session, this.nextRequest(), message);
      this.begin(new Call(limitAt, resolve, reject), bytes);
    });
  }

  /** One run outside of any batch, for trials and warm-up; tensors in the order of the session's inputs. */
  run(session: number, inputs: readonly Tensor[], names: readonly string[], limitAt: number): Promise<RunnerFrame> {
    return new Promise((resolve, reject) => {
      const { encoder } = this;
      encoder.begin(FRAME_TYPES.run, session, this.nextRequest());
      for (const tensor of inputs) {
        const index = names.indexOf(tensor.name);
        if (index < 0) throw new FrameError(`the model has no input ${tensor.name}`);
        encoder.openTensor(index, tensor.datatype, tensor.shape);
        encoder.append(tensor.data);
        encoder.closeTensor();
      }
      this.begin(new Call(limitAt, resolve, reject), encoder.end());
    });
  }

  kill(reason: RunnerEnd['reason']): void {
    // The first reason stands: until the process is gone, whoever looks at it again sees one that is ending.
    if (this.ended || this.child.killed) return;
    if (this.reason === 'crashed') this.reason = reason;
    this.child.kill('SIGKILL');
  }

  /** Asks it to end; the caller kills it when it takes too long. */
  stop(): void {
    this.reason = 'stopped';
    this.socket.end();
  }

  private async greet(limitAt: number): Promise<ReadyMessage> {
    const frame = await new Promise<RunnerFrame>((resolve, reject) => {
      this.work = new Call(limitAt, resolve, reject);
    });
    // No model comes into a process that is not held to its memory yet.
    await this.group?.joined;
    if (frame.type !== FRAME_TYPES.ready) throw new FrameError(`${frame.type} is not the first thing a runner says`);
    return frameMessage(frame) as ReadyMessage;
  }

  private listen(): void {
    const { child, socket } = this;
    socket.on('data', (chunk: Uint8Array) => this.receive(chunk));
    // A write to a process that has just died fails here; its exit, which follows, says the same.
    for (const stream of child.stdio) stream?.on('error', () => undefined);
    child.stderr?.on('data', (chunk: Buffer) => {
      this.stderr = (this.stderr + chunk.toString('utf8')).slice(-STDERR_BYTES);
    });
    child.on('exit', (code, signal) => this.finish(code, signal));
  }

  private receive(chunk: Uint8Array): void {
    try {
      this.decoder.push(chunk);
      for (let frame = this.decoder.next(); frame !== undefined; frame = this.decoder.next()) this.deliver(frame);
    } catch (error) {
      this.stderr += error instanceof Error ? error.message : String(error);
      this.kill('protocol');
    }
  }

  private deliver(frame: RunnerFrame): void {
    const { work } = this;
    if (work === undefined || this.reason !== 'crashed') return;
    // An answer to something else must never reach a caller.
    if (frame.request !== this.requests) throw new FrameError(`answer ${frame.request} to request ${this.requests}`);
    this.work = undefined;
    this.listener.onIdle(this);
    try {
      work.answered(frame);
    } catch (error) {
      // A frame that cannot be read: the process is not to be trusted, and whoever waits must hear of it.
      work.lost({ reason: 'protocol', code: null, signal: null, stderr: '' });
      throw error;
    }
  }

  private finish(code: number | null, signal: string | null): void {
    if (this.ended) return;
    this.ended = true;
    this.leaveGroup();
    const end: RunnerEnd = { reason: this.reason, code, signal, stderr: this.stderr };
    for (const stream of this.child.stdio) stream?.destroy();
    const { work } = this;
    this.listener.onEnded(this, end);
    this.work = undefined;
    work?.lost(end);
  }

  /** What the kernel has ended for its memory looks like a crash from here. */
  private leaveGroup(): void {
    if (this.group === undefined) return;
    if (this.reason === 'crashed' && this.group.exceeded) this.reason = 'memory';
    this.groups.release(this.group);
  }
}

/** Work whose answer somebody awaits. */
class Call implements RunnerWork {
  constructor(
    readonly limitAt: number,
    readonly answered: (frame: RunnerFrame) => void,
    private readonly reject: (error: Error) => void,
  ) {}

  lost(end: RunnerEnd): void {
    this.reject(new RunnerLostError(end));
  }
}
