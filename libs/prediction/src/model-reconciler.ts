import { DomainError, SingleFlight, type Clock } from '@sibyl/kernel';
import type { LoadedModel, ModelRuntime } from '@sibyl/inference';
import type { PredictionOptions } from './prediction-options';
import type { ServedVersion } from './served-version';
import { followSnapshot } from './follow-snapshot';
import { LoadRetries } from './load-retries';
import { Hold, ModelMemory } from './model-memory';
import type { ServingSource } from './serving-source';
import { ServingNeeds } from './serving-needs';
import { ServingTable, type Resolution } from './serving-table';
import { afterLoad, VersionRenewal, type ReloadedVersion } from './version-renewal';
import { VersionLoader } from './version-loader';

export interface ReconcilerLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

export interface ReconcilerParts {
  readonly source: ServingSource;
  readonly runtime: ModelRuntime;
  readonly clock: Clock;
  readonly options: PredictionOptions;
  readonly log: ReconcilerLog;
}

/**
 * Makes what serves follow what the registry says: reads its snapshot when told and on a timer, loads what aliases need,
 * and replaces the serving table by one assignment. Requests only ever read `table`.
 */
export class ModelReconciler {
  table = ServingTable.EMPTY;
  private readonly loads = new SingleFlight<LoadedModel>();
  private running: Promise<void> | undefined;
  private next: Promise<void> | undefined;
  private timer: NodeJS.Timeout | undefined;
  private started = false;
  private preloads: readonly ServedVersion[] = [];
  private readonly needs: ServingNeeds;
  private readonly memory: ModelMemory;
  private readonly loader: VersionLoader;
  private readonly renewal: VersionRenewal;
  private readonly retries: LoadRetries;

  constructor(private readonly parts: ReconcilerParts) {
    const needs = new ServingNeeds(() => this.table, parts.clock, parts.options);
    this.needs = needs;
    this.memory = new ModelMemory({
      ...parts,
      versions: () => needs.all(),
      hold: (served) => needs.holdOf(served),
      release: (served) => this.release(served),
    });
    this.loader = new VersionLoader({ ...parts, mayGrow: (bytes) => this.memory.hasRoomFor(bytes) });
    this.retries = new LoadRetries(parts);
    this.renewal = new VersionRenewal({ ...parts, memory: this.memory, loader: this.loader });
  }

  /** Reads the first snapshot and loads what aliases point at; a version that will not load does not stop the start. */
  async start(): Promise<void> {
    await this.refresh();
    this.preloads = this.needs.preloaded();
    await this.preload(this.needs.wanted());
    this.started = true;
    this.timer = setInterval(() => void this.follow(), this.parts.options.refreshMs);
    this.timer.unref();
  }

  stop(): void {
    clearInterval(this.timer);
  }

  /** Reads the registry anew. Calls that come while one runs are answered by one more run, which sees their change. */
  refresh(): Promise<void> {
    if (this.next !== undefined) return this.next;
    if (this.running === undefined) return this.begin();
    const over = this.running.catch(() => undefined);
    this.next = over.then(() => {
      this.next = undefined;
      return this.begin();
    });
    return this.next;
  }

  /**
   * Reads the registry after a change that is already committed: if that fails now, the timer will see it. What is under way may
   * have `seen` the change, where a notification was quicker than whoever made it; then that is enough.
   */
  async follow(seen?: () => boolean): Promise<void> {
    if (seen) await this.running?.catch(() => undefined);
    if (seen?.() !== true) await this.refresh().catch((error: unknown) => this.stale(error));
  }

  /** Packages that are in memory here, or on their way. */
  loadedDigests(): string[] {
    const loaded = [...this.needs.all()].filter((served) => served.loaded !== undefined || served.state === 'loading');
    return loaded.map((served) => served.facts.digest);
  }

  /**
   * What is missing of what should serve since the start; empty when ready, and from then on: a version that arrives later,
   * or a runner that is being replaced, is no reason to take this instance out of its load balancer.
   */
  missing(): string[] {
    if (!this.started) return ['models are still being registered and loaded'];
    this.preloads = this.preloads.filter((served) => served.loaded === undefined && this.stillDue(served));
    return this.preloads.map((served) => `${served.model} ${served.version} is ${served.state}`);
  }

  /** A version that was replaced, retired or unloaded by hand since the start is not waited for any more. */
  private stillDue(served: ServedVersion): boolean {
    const present = this.table.models.get(served.model)?.versions.get(served.version);
    return present === served && served.servable && !served.parked;
  }

  /** The version that answers, of the table as it stands; while the start still registers models, none is unknown yet. */
  resolve(model: string, version: string | undefined): Resolution {
    if (!this.started && !this.table.models.has(model)) {
      throw new DomainError('model_not_ready', 'Models are still being registered and loaded.', {
        retryAfterSeconds: 1,
      });
    }
    return this.table.resolve(model, version);
  }

  /** The loaded model, waiting for it up to `deadlineAt` (monotonic ms); else `model_not_ready`. */
  async ready(served: ServedVersion, deadlineAt: number): Promise<LoadedModel> {
    if (served.loaded && !served.loaded.givenUp) return served.loaded;
    const waitMs = deadlineAt - this.parts.clock.monotonic();
    if (served.retryAt > this.parts.clock.monotonic() && served.failure !== undefined) throw served.failure;
    if (waitMs <= 0) throw notReady(served);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(notReady(served)), waitMs);
    });
    try {
      return await Promise.race([this.load(served), late]);
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * As `ready`, for a version that an alias is about to point at: until the promotion must have ended, it is held like one that
   * an alias points at, so that it finds room where that would, and keeps it up to the switch.
   */
  prewarm(served: ServedVersion, limitMs: number): Promise<LoadedModel> {
    const deadlineAt = this.parts.clock.monotonic() + limitMs;
    served.promisedUntil = deadlineAt;
    served.retryAt = 0;
    return this.ready(served, deadlineAt);
  }

  /** The version of this name, if it may serve. */
  async find(model: string, version: string): Promise<ServedVersion> {
    const known = await this.known(model, version);
    // It may have passed its validation, or been approved, a moment ago.
    if (!known.servable) await this.refresh();
    return this.table.resolve(model, version).served;
  }

  /** The version of this name whatever its status, reading the registry anew when the table does not have it yet. */
  async known(model: string, version: string): Promise<ServedVersion> {
    const found = (): ServedVersion | undefined => this.table.models.get(model)?.versions.get(version);
    if (!found()) await this.refresh();
    return found() ?? this.table.resolve(model, version).served;
  }

  /**
   * Reads the registry anew and loads what should serve, also what failed to load a moment ago or was unloaded by hand. What
   * serves already is read and checked again and loaded beside itself, and gives way when its successor is warm.
   */
  async reload(model: string | undefined): Promise<readonly ReloadedVersion[]> {
    await this.refresh();
    if (model !== undefined) this.table.resolve(model, undefined);
    const asked = (served: ServedVersion): boolean => model === undefined || served.model === model;
    for (const served of this.needs.all()) if (asked(served)) served.parked = false;
    const serving = this.needs
      .all()
      .filter((served) => asked(served) && served.servable && served.loaded?.givenUp === false);
    const due = this.needs.wanted().filter((served) => asked(served) && !serving.includes(served));
    await this.preload(due);
    const reloaded = due.map((served) => afterLoad(served));
    // One after the other: no more than one model is in memory twice.
    for (const served of serving) reloaded.push(await this.renewal.renew(served));
    return reloaded;
  }

  /** Takes a version out of the runners; it stays out until a request asks for it. */
  unload(served: ServedVersion): Promise<void> {
    served.parked = true;
    return this.release(served);
  }

  private begin(): Promise<void> {
    const run = this.run().finally(() => (this.running = undefined));
    this.running = run;
    return run;
  }

  private async run(): Promise<void> {
    const { table, gone } = followSnapshot(this.table, await this.parts.source.snapshot(), this.parts.log);
    this.table = table;
    for (const served of gone) void this.release(served).catch((error: unknown) => this.stale(error));
    void this.preloadDue(this.needs.wanted()).then(() => {
      if (this.started) void this.preloadDue(this.needs.previous());
    });
    void this.memory.retireIdle().catch((error: unknown) => this.stale(error));
  }

  private async preloadDue(versions: readonly ServedVersion[]): Promise<void> {
    await this.preload(await this.retries.due(versions));
  }

  /** Loads what aliases need first, and of the others what there is room for; the rest waits for a request. */
  private async preload(versions: readonly ServedVersion[]): Promise<void> {
    const loads: Promise<unknown>[] = [];
    for (const served of versions) {
      if (served.loaded !== undefined) continue;
      if (this.needs.holdOf(served) === Hold.alias || this.memory.fits(served))
        loads.push(this.load(served).catch(() => undefined));
      else served.parked = true;
    }
    await Promise.all(loads);
  }

  private async release(served: ServedVersion): Promise<void> {
    const { loaded } = served;
    if (!loaded) return;
    served.loaded = undefined;
    served.state = 'unloading';
    await this.memory.leave(loaded.totalBytes, loaded.unload());
    // A request may have begun to load it again meanwhile; then that state stands.
    if (served.loaded === undefined && (served.state as string) === 'unloading') served.state = 'unloaded';
  }

  private load(served: ServedVersion): Promise<LoadedModel> {
    return this.loads.run(keyOf(served), () => this.bring(served));
  }

  private async bring(served: ServedVersion): Promise<LoadedModel> {
    // Its file was gone when a runner had to be replaced; it may be there again.
    if (served.loaded?.givenUp) await this.release(served);
    if (served.loaded) return served.loaded;
    served.state = 'loading';
    served.parked = false;
    let grounds: string | undefined;
    try {
      grounds = await this.retries.grounds(served);
      await this.memory.reserve(served);
      const loaded = await this.loader.load(served);
      served.loaded = loaded;
      served.loadedAtMs = this.parts.clock.now();
      served.state = 'ready';
      this.retries.succeeded(served);
      this.parts.log.info(
        { model: served.model, version: served.version, provider: loaded.execution.provider, loadMs: loaded.loadMs },
        'model loaded',
      );
      return loaded;
    } catch (error) {
      served.state = 'unavailable';
      throw this.retries.failed(served, error, grounds);
    } finally {
      void this.memory.settle(served).catch((error: unknown) => this.stale(error));
    }
  }

  private stale(error: unknown): void {
    this.parts.log.warn({ err: error }, 'the registry could not be read; the last serving table goes on');
  }
}

function keyOf({ model, version, facts }: ServedVersion): string {
  return `${model}@${version}@${facts.digest}`;
}

function notReady({ model, version, state }: ServedVersion): DomainError {
  return new DomainError('model_not_ready', `Model '${model}' version ${version} is not ready: ${state}.`, {
    retryAfterSeconds: 2,
  });
}
