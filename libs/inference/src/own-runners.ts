import { copyBytes, PROCESS_BYTES } from './placement';
import { RunnerGroup, type RunnerGroupHost } from './runner-group';
import type { RunnerSlot } from './runner-slot';
import type { ServedVersion } from './served-version';

/** Callers who ask again as soon as they are answered leave a runner idle between two batches. */
const PRESSED = 0.7;

/**
 * The runners of one version that is expensive to load: one as a rule, more of them while its requests wait. Nothing else
 * is in them, so a load holds up nobody, and unloading it ends them, which gives all memory back at once.
 */
export class OwnRunners {
  readonly group: RunnerGroup;
  /** How much of the last `growAfterMs` they had more to do than they could do at once: 0 to 1. */
  private pressure = 0;
  private neededAt: number;
  private resizing = false;

  constructor(
    private readonly pool: RunnerGroupHost,
    readonly version: ServedVersion,
    /** Whether another process may be started. */
    private readonly hasRoom: () => boolean,
  ) {
    this.group = new RunnerGroup(pool, version);
    this.neededAt = pool.clock.monotonic();
  }

  async load(): Promise<void> {
    this.group.grow();
    try {
      await this.group.load(this.version);
    } catch (error) {
      await this.group.close();
      throw error;
    }
  }

  /** What all its processes take together. */
  get totalBytes(): number {
    const { prepared, expected } = this.version;
    const mapped = prepared === undefined ? 0 : copyBytes(expected);
    return this.group.slots.length * this.runnerBytes + mapped;
  }

  tick(now: number, measureMemory: boolean): void {
    this.group.tick(now, measureMemory);
    const allBusy = this.group.slots.every((slot) => slot.idleRunner === undefined);
    if (allBusy) this.neededAt = now;
    const { tickMs, growAfterMs, shrinkAfterMs } = this.pool.options;
    const pressed = allBusy && this.requests > this.group.slots.length;
    this.pressure += ((pressed ? 1 : 0) - this.pressure) * Math.min(1, tickMs / growAfterMs);
    if (this.resizing) return;
    if (this.group.slots.some((slot) => this.isUseless(slot))) void this.shrink();
    else if (this.pressure > PRESSED) this.grow();
    else if (now - this.neededAt >= shrinkAfterMs) void this.shrink();
  }

  /**
   * Ends runners that map prepared files which somebody has changed since; their successors load the model itself. Tells the
   * servers that share the folder that the files are in use.
   */
  async check(): Promise<void> {
    const { version, group } = this;
    const { prepared } = version;
    if (prepared === undefined) return;
    await prepared.keep();
    if (await prepared.files.unchanged()) return;
    version.prepared = undefined;
    this.pool.log.error(
      { key: version.key },
      'the prepared files of a loaded model have changed: its runners are replaced',
    );
    await Promise.all(group.slots.map((slot) => group.replace(slot)));
  }

  /** Gives back the least useful of several runners, whether or not it is needed here; false where there is one only. */
  async shrink(): Promise<boolean> {
    const slot = this.leastUseful();
    if (slot === undefined || this.resizing) return false;
    this.resizing = true;
    try {
      await this.group.shrink(slot);
    } finally {
      this.resizing = false;
      this.neededAt = this.pool.clock.monotonic();
    }
    this.pool.log.info({ key: this.version.key, runners: this.group.slots.length }, 'a model has one runner less');
    return true;
  }

  /** What one more runner takes: of a prepared model not the weights, which all of them map. */
  private get runnerBytes(): number {
    const { prepared, memoryBytes, copyBytes: whole } = this.version;
    return PROCESS_BYTES + (prepared === undefined ? whole : memoryBytes);
  }

  /** Those that wait and those that run: a batch may hold all callers, who then wait for each other. */
  private get requests(): number {
    return this.group.slots.reduce((sum, slot) => sum + slot.requests, this.version.waiting);
  }

  private leastUseful(): RunnerSlot | undefined {
    const { slots } = this.group;
    if (slots.length <= 1) return undefined;
    return slots.find((slot) => !slot.holds(this.version.session)) ?? slots.at(-1);
  }

  /** One in which the version could not be loaded, though others hold it. */
  private isUseless(slot: RunnerSlot): boolean {
    const { session, spreads } = this.version;
    return !spreads && slot.isReady && !slot.holds(session);
  }

  /** As many as the options allow, one at a time: the next is wanted when the one before has not been enough. */
  private grow(): void {
    const { version, group } = this;
    this.pressure = 0;
    if (group.slots.length >= this.pool.options.runners || !group.slots.every((slot) => slot.isReady)) return;
    if (version.breaker.blocks || version.closed || !version.spreads || !this.hasRoom()) return;
    if (version.loadOptions.mayGrow?.(this.runnerBytes) === false) return;
    group.grow();
    this.pool.log.info({ key: version.key, runners: group.slots.length }, 'a model has one runner more');
  }
}
