import { DomainError, type Clock } from '@sibyl/kernel';
import type { ReadyMessage } from '@sibyl/protocol';
import type { BatchScheduler } from './batch-scheduler';
import type { InferenceLog } from './inference-log';
import type { InferenceObserver } from './inference-observer';
import type { InferenceOptions } from './inference-options';
import { OwnRunners } from './own-runners';
import { copyBytes, needsOwnRunner, PROCESS_BYTES, type ExpectedLoad } from './placement';
import { Runner, RunnerLostError, type RunnerEnd, type RunnerListener, type RunnerSettings } from './runner';
import { RunnerGroup, type RunnerGroupHost } from './runner-group';
import type { RunnerSlot } from './runner-slot';
import { RunnerSpare } from './runner-spare';
import type { Machine } from './select-providers';
import type { ServedVersion } from './served-version';

export interface RunnerPoolDeps {
  readonly options: InferenceOptions;
  readonly settings: RunnerSettings;
  readonly clock: Clock;
  readonly observer: InferenceObserver;
  readonly log: InferenceLog;
}

interface ReadyWaiter {
  readonly limitAt: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** Ticks between two looks at the memory of busy runners. */
const TICKS_PER_MEASURE = 10;
/** … and at the files that runners map, two seconds as a rule: so long may answers come from bytes that somebody changed. */
const TICKS_PER_CHECK = 100;

/** All runners: those that hold every ordinary version, and those of one expensive version each. */
export class RunnerPool implements RunnerGroupHost {
  /** Where batches may run, in an array that is changed in place. */
  readonly places: RunnerSlot[] = [];
  readonly spare: RunnerSpare;
  readonly options: InferenceOptions;
  readonly settings: RunnerSettings;
  readonly clock: Clock;
  readonly observer: InferenceObserver;
  readonly log: InferenceLog;
  machine: Machine = { providers: [], gpus: 0, runtime: '' };
  private readonly shared: RunnerGroup;
  /** By session. */
  private readonly own = new Map<number, OwnRunners>();
  /** Loads into own runners that are under way. */
  private loading = 0;
  private scheduler: BatchScheduler | undefined;
  private ticker: NodeJS.Timeout | undefined;
  private ticks = 0;
  private awaiting: ReadyWaiter[] = [];
  private lastEnd: RunnerEnd | undefined;

  constructor(deps: RunnerPoolDeps) {
    this.options = deps.options;
    this.settings = deps.settings;
    this.clock = deps.clock;
    this.observer = deps.observer;
    this.log = deps.log;
    this.spare = new RunnerSpare(this);
    this.shared = new RunnerGroup(this);
  }

  /** Whether a session is loaded under this number. */
  holds(session: number): boolean {
    return this.own.has(session) || this.shared.loader.versions.has(session);
  }

  get isReady(): boolean {
    return this.shared.slots.some((slot) => slot.isReady);
  }

  /** Starts the runners; `ready` tells when one of them is there. */
  open(scheduler: BatchScheduler): void {
    if (this.scheduler !== undefined) return;
    this.scheduler = scheduler;
    this.ticker = setInterval(() => this.tick(), this.options.tickMs);
    for (let i = 0; i < this.options.runners; i++) this.shared.grow();
  }

  ready(): Promise<void> {
    if (this.isReady) return Promise.resolve();
    const limitAt = this.clock.monotonic() + this.options.startLimitMs;
    return new Promise((resolve, reject) => this.awaiting.push({ limitAt, resolve, reject }));
  }

  /** Whether a load would get a process of its own now. */
  placesAlone(expected: ExpectedLoad): boolean {
    return needsOwnRunner(expected, this.options) && this.hasRoom;
  }

  /** What a load is expected to take in all processes together. */
  expectedBytes(expected: ExpectedLoad): number {
    if (this.placesAlone(expected)) return PROCESS_BYTES + copyBytes(expected);
    return copyBytes(expected) * this.options.runners;
  }

  async load(version: ServedVersion): Promise<void> {
    if (!this.placesAlone(version.expected)) {
      // Room may have gone while it was prepared. Only own runners are ended when somebody changes the files that they map.
      version.prepared = undefined;
      return this.shared.load(version);
    }
    const own = new OwnRunners(this, version, () => this.hasRoom);
    this.own.set(version.session, own);
    version.alone = true;
    this.loading++;
    try {
      await own.load();
    } catch (error) {
      this.own.delete(version.session);
      throw error;
    } finally {
      this.loading--;
    }
  }

  async unload(version: ServedVersion): Promise<void> {
    const own = this.own.get(version.session);
    if (own === undefined) return this.shared.unload(version);
    await own.group.close();
    this.own.delete(version.session);
  }

  /** What a loaded version takes in all processes together. */
  totalBytes(version: ServedVersion): number {
    return this.own.get(version.session)?.totalBytes ?? version.copyBytes * this.shared.slots.length;
  }

  runnersOf(version: ServedVersion): number {
    return (this.own.get(version.session)?.group ?? this.shared).slots.length;
  }

  /** Ends a runner that a version has beside its first; false where it has none. */
  async shrink(version: ServedVersion): Promise<boolean> {
    return (await this.own.get(version.session)?.shrink()) ?? false;
  }

  /** Ids of the prepared models that are loaded, on their way in or on their way out. */
  preparedInUse(): ReadonlySet<string> {
    return new Set([...this.own.values()].flatMap(({ version }) => version.prepared?.id ?? []));
  }

  newRunner(listener: RunnerListener): Runner {
    return this.spare.take(listener) ?? new Runner(this.settings, listener);
  }

  /** Loads into all runners what they lack. */
  async fillAll(): Promise<void> {
    for (const group of this.groups()) await group.fillAll();
  }

  onGreeting({ providers, gpus, runtime }: ReadyMessage): void {
    this.machine = { providers, gpus, runtime };
  }

  onReady(): void {
    if (this.isReady) for (const waiter of this.awaiting.splice(0)) waiter.resolve();
  }

  onLost(end: RunnerEnd): void {
    this.lastEnd = end;
  }

  onRunnerIdle(): void {
    this.scheduler?.idle();
  }

  onResized(): void {
    this.places.splice(0, Infinity, ...this.groups().flatMap((group) => group.slots));
  }

  async close(): Promise<void> {
    await Promise.all([this.spare.close(), ...this.groups().map((group) => group.close())]);
    clearInterval(this.ticker);
  }

  private get hasRoom(): boolean {
    return this.places.length - this.shared.slots.length < this.options.ownRunners;
  }

  private groups(): RunnerGroup[] {
    return [this.shared, ...[...this.own.values()].map(({ group }) => group)];
  }

  private tick(): void {
    const now = this.clock.monotonic();
    const measureMemory = this.ticks++ % TICKS_PER_MEASURE === 0;
    this.shared.tick(now, measureMemory);
    for (const own of this.own.values()) {
      own.tick(now, measureMemory);
      if (this.ticks % TICKS_PER_CHECK === 0) void own.check();
    }
    this.spare.tick(now);
    // A server that nobody asks anything need not hold memory for the case that it loses a runner; and a start beside a load
    // takes the core that serves.
    if ((this.scheduler?.batches ?? 0) > 0 && this.loading === 0) this.spare.refill();
    if (this.awaiting.length > 0) this.dismiss(now);
  }

  private dismiss(now: number): void {
    this.awaiting = this.awaiting.filter((waiter) => {
      if (now <= waiter.limitAt) return true;
      const cause = this.lastEnd && new RunnerLostError(this.lastEnd);
      waiter.reject(new DomainError('model_not_ready', 'No runner could be started.', { cause }));
      return false;
    });
  }
}
