import type { MetricReading, MetricsSum, Logger } from '@sibyl/telemetry';
import type { ApiConfig } from '../../config';
import type { ConnectionDealer } from './connection-dealer';
import type { ToPrimary, Topic } from './messages';
import { Relay } from './relay';
import { WorkerProcess, type WorkerEnd } from './worker-process';

/** A worker that ends before it is ready is started again after this long, doubled each time … */
const RESTART_MS = 100;
/** … up to this long, so that a fault of the machine neither spins nor outlasts its end. */
const RESTART_MOST_MS = 5_000;
const WATCH_MS = 1_000;
/** Seconds without a word after which a worker hangs for good: a collection of all its memory takes two. */
const SILENCE_SECONDS = 15;
/** For a worker to take connections: it waits for the database for 20 s at most. */
const START_SECONDS = 120;
/** How long a scrape waits for a worker before it takes what that said last. */
const SCRAPE_MS = 1_000;

/** The first start of a worker has failed, for reasons that the worker has told: the server cannot start. */
export class WorkerStartFailed extends Error {
  constructor(readonly exitCode: number) {
    super('a worker could not start');
  }
}

export interface WorkforceParts {
  readonly config: ApiConfig;
  readonly log: Logger;
  readonly dealer: ConnectionDealer;
  readonly metrics: MetricsSum;
}

/** The workers of this server: starts them, replaces those that end, and carries their messages to each other. */
export class Workforce {
  /** Resolves when every worker takes connections for the first time; rejects where one cannot. */
  readonly opened: Promise<void>;
  /** Resolves when every worker has loaded what should serve. */
  readonly ready: Promise<void>;
  private readonly relay = new Relay();
  private readonly workers = new Map<number, WorkerProcess>();
  private readonly delays = new Map<number, number>();
  private readonly restarts = new Set<NodeJS.Timeout>();
  private watch: NodeJS.Timeout | undefined;
  private registered = false;
  private starting = true;
  private draining: NodeJS.Signals | undefined;
  private failedStops = 0;
  private settle: { opened?: () => void; failed?: (error: Error) => void; ready?: () => void; ended?: () => void } = {};

  constructor(private readonly parts: WorkforceParts) {
    this.opened = new Promise((resolve, reject) => Object.assign(this.settle, { opened: resolve, failed: reject }));
    this.ready = new Promise((resolve) => (this.settle.ready = resolve));
  }

  get all(): readonly WorkerProcess[] {
    return [...this.workers.values()];
  }

  start(): void {
    for (let index = 1; index <= this.count; index++) this.begin(index);
    this.watch = setInterval(() => this.lookAtAll(), WATCH_MS);
  }

  /** Has all workers answer what is under way and end; resolves to how many did not end well. */
  async drain(signal: NodeJS.Signals): Promise<number> {
    this.draining = signal;
    for (const timer of this.restarts) clearTimeout(timer);
    const ended = new Promise<void>((resolve) => (this.settle.ended = resolve));
    for (const worker of this.all) worker.send({ kind: 'drain', signal });
    this.endWhenEmpty();
    await ended;
    clearInterval(this.watch);
    return this.failedStops;
  }

  private get count(): number {
    return this.parts.config.server.workers;
  }

  private begin(index: number): void {
    const { config } = this.parts;
    const begin = { kind: 'begin', config, index, count: this.count, registered: this.registered } as const;
    const worker = new WorkerProcess(begin, (from, message) => this.receive(from, message));
    this.workers.set(index, worker);
    void worker.gone.then((end) => this.left(worker, end));
  }

  private receive(worker: WorkerProcess, message: ToPrimary): void {
    switch (message.kind) {
      case 'open':
        return this.openedOne(worker);
      case 'ready':
        return this.readyOne(worker);
      case 'accepted':
        return this.parts.dealer.accepted(worker, message.connections);
      case 'pong':
        worker.connections = message.connections;
        return undefined;
      case 'tell':
        return this.tell(message.topic, message.body, worker);
      case 'ask':
        return void this.ask(worker, message);
      case 'answer':
        return this.relay.answer(worker, message.id, message.answer);
      case 'scrape':
        return void this.scrape(worker, message.id);
    }
  }

  private openedOne(worker: WorkerProcess): void {
    worker.open = true;
    if (this.workers.size === this.count && this.all.every(({ open }) => open)) {
      this.starting = false;
      this.settle.opened?.();
    }
    this.parts.dealer.deal();
  }

  private readyOne(worker: WorkerProcess): void {
    worker.ready = true;
    this.delays.delete(worker.index);
    this.parts.dealer.deal();
    if (this.all.every(({ ready }) => ready)) this.settle.ready?.();
  }

  private tell(topic: Topic, body: unknown, from?: WorkerProcess): void {
    if (topic === 'registered') this.registered = true;
    // Who has registered is told like the others.
    for (const worker of this.all)
      if (worker !== from || topic === 'registered') worker.send({ kind: 'tell', topic, body });
  }

  private async ask(from: WorkerProcess, asked: ToPrimary & { kind: 'ask' }): Promise<void> {
    const { id, question, body, limitMs } = asked;
    const others = this.all.filter((worker) => worker.open && worker !== from);
    const answers = await this.relay.ask(others, question, body, limitMs);
    from.send({ kind: 'answers', id, answers: [...answers.values()] });
  }

  private async scrape(from: WorkerProcess, id: number): Promise<void> {
    const { metrics } = this.parts;
    const open = this.all.filter((worker) => worker.open);
    const answers = await this.relay.ask(open, 'metrics', undefined, SCRAPE_MS);
    for (const [worker, { value }] of answers as ReadonlyMap<WorkerProcess, { value?: unknown }>)
      if (value !== undefined && worker.open) metrics.learn(worker.begin, value as readonly MetricReading[]);
    from.send({ kind: 'scraped', id, text: await metrics.text() });
  }

  private left(worker: WorkerProcess, { code, signal }: WorkerEnd): void {
    const { dealer, metrics, log } = this.parts;
    this.workers.delete(worker.index);
    this.relay.left(worker);
    dealer.left(worker);
    if (this.draining !== undefined) {
      if (code !== 0) this.failedStops++;
      this.endWhenEmpty();
      return;
    }
    if (this.starting && code !== null && code !== 0) {
      this.settle.failed?.(new WorkerStartFailed(code));
      return;
    }
    metrics.leave(worker.begin);
    const { index, pid } = worker;
    log.error({ worker: index, pid, exitCode: code, signal }, 'a worker has ended and is replaced');
    // Its events go to PostgreSQL now, not when somebody looks the next time.
    this.tell('adopt', undefined);
    this.replace(index);
  }

  /** At once where the worker had been ready; where it was not, the next one may fare no better. */
  private replace(index: number): void {
    const delay = this.delays.get(index) ?? 0;
    this.delays.set(index, Math.min(RESTART_MOST_MS, Math.max(RESTART_MS, 2 * delay)));
    const timer = setTimeout(() => {
      this.restarts.delete(timer);
      this.begin(index);
    }, delay);
    this.restarts.add(timer);
  }

  /** A worker that hangs serves nobody and keeps what it holds: it is ended, and replaced like any other. */
  private lookAtAll(): void {
    for (const worker of this.all) {
      worker.send({ kind: 'ping' });
      if (++worker.silence <= (worker.open ? SILENCE_SECONDS : START_SECONDS)) continue;
      this.parts.log.error({ worker: worker.index, pid: worker.pid }, 'a worker does not answer and is ended');
      worker.kill();
    }
  }

  private endWhenEmpty(): void {
    if (this.workers.size === 0) this.settle.ended?.();
  }
}
