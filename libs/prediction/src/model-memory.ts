import { DomainError, type Clock } from '@sibyl/kernel';
import type { LoadedModel, ModelRuntime } from '@sibyl/inference';
import type { PredictionOptions } from './prediction-options';
import type { ServedVersion } from './served-version';

export interface ModelMemoryParts {
  readonly runtime: Pick<ModelRuntime, 'expectedBytes'>;
  readonly clock: Clock;
  readonly options: PredictionOptions;
  readonly log: { info(fields: object, message: string): void };
  readonly versions: () => readonly ServedVersion[];
  /** How firmly a version stays loaded. */
  readonly hold: (served: ServedVersion) => Hold;
  readonly release: (served: ServedVersion) => Promise<void>;
}

interface Coming {
  readonly bytes: number;
  /** Answers until what comes is loaded. */
  readonly before: LoadedModel | undefined;
}

interface Leaving {
  readonly bytes: number;
  readonly ended: Promise<void>;
}

/** How firmly a version stays loaded: one gives way only to what is held more firmly. */
export enum Hold {
  none = 0,
  /** Its own manifest says so, which whoever registers it writes. */
  manifest = 1,
  /** A rollback of an alias would lead to it, or the policy of its model keeps it for one. */
  previous = 2,
  /** An alias points at it or is about to, or the operator named it. */
  alias = 3,
}

const MIB = 1024 * 1024;

/**
 * Which versions stay in memory: what they really take is held against a budget, the least recently used go first, and idle ones
 * go after their time. What went is loaded again by the next request for it.
 */
export class ModelMemory {
  /** Bytes that are set aside for versions on their way in, and what each will take the place of. */
  private readonly coming = new Map<ServedVersion, Coming>();
  /** What unloads will give back when they have ended: until then their versions answer what was asked of them. */
  private readonly leaving = new Set<Leaving>();

  constructor(private readonly parts: ModelMemoryParts) {}

  /** Bytes of what is loaded, in all runners, and of what is being loaded or unloaded. */
  usedBytes(): number {
    let sum = this.leavingBytes;
    for (const { bytes } of this.coming.values()) sum += bytes;
    for (const served of this.parts.versions()) if (this.isHeldBeside(served)) sum += this.bytesOf(served);
    return sum;
  }

  /** Whether so many bytes can be taken without unloading anything. */
  hasRoomFor(bytes: number): boolean {
    return this.usedBytes() + bytes <= this.budgetBytes;
  }

  /** Whether it can be loaded without unloading another; it may wait for those that are leaving. */
  fits(served: ServedVersion): boolean {
    return this.hasRoomFor(this.bytesOf(served) - this.leavingBytes);
  }

  /** Sets memory aside for a version, unloading others as needed. Throws `model_not_ready` where only pinned ones are left. */
  async reserve(served: ServedVersion): Promise<void> {
    const needed = this.parts.runtime.expectedBytes(served.expectedLoad);
    // Before anything is unloaded for it.
    if (needed > this.budgetBytes - this.lastingBytes(served)) throw this.full(served, needed);
    while (!this.hasRoomFor(needed)) {
      if (await this.awaitLeaving(needed)) continue;
      if (await this.shrinkOne()) continue;
      const victim = this.leastRecentlyUsed(served);
      if (victim === undefined) throw this.full(served, needed);
      await this.evict(victim, 'another version needs its memory');
    }
    this.coming.set(served, { bytes: needed, before: served.loaded });
  }

  /** The load has ended, well or not: from now on what it really takes counts. */
  async settle(served: ServedVersion): Promise<void> {
    this.coming.delete(served);
    while (!this.hasRoomFor(0)) {
      if (await this.awaitLeaving(0)) continue;
      if (await this.shrinkOne()) continue;
      const victim = this.leastRecentlyUsed(served) ?? this.itself(served);
      if (victim === undefined) return;
      await this.evict(victim, 'memory is over its budget');
    }
  }

  /** Counts what a version takes until its unload has ended, well or not. */
  leave(bytes: number, unloading: Promise<void>): Promise<void> {
    const ended = unloading.finally(() => this.leaving.delete(leaving));
    const leaving: Leaving = { bytes, ended };
    this.leaving.add(leaving);
    return ended;
  }

  /** Unloads what nobody has asked for in a long time. */
  async retireIdle(): Promise<void> {
    const { clock, options, versions, hold } = this.parts;
    if (options.modelIdleMs === 0) return;
    const before = clock.now() - options.modelIdleMs;
    for (const served of versions())
      if (served.state === 'ready' && usedAt(served) <= before && hold(served) === Hold.none)
        await this.evict(served, 'nobody has asked for it in a long time');
  }

  private get budgetBytes(): number {
    return this.parts.options.modelMemoryBytes;
  }

  /** Whether what is loaded of a version counts beside what is set aside for it: that counts once, before and after the switch. */
  private isHeldBeside(served: ServedVersion): boolean {
    if (served.loaded === undefined) return false;
    const coming = this.coming.get(served);
    return coming === undefined || coming.before === served.loaded;
  }

  /** What a version takes in all processes together, or will take as far as its validation and its files tell. */
  private bytesOf({ expectedLoad, loaded }: ServedVersion): number {
    return loaded?.totalBytes ?? this.parts.runtime.expectedBytes(expectedLoad);
  }

  private get leavingBytes(): number {
    let sum = 0;
    for (const { bytes } of this.leaving) sum += bytes;
    return sum;
  }

  /** Waits for one of the unloads that are under way where all of them give room enough; false where they do not. */
  private async awaitLeaving(bytes: number): Promise<boolean> {
    if (this.leaving.size === 0 || !this.hasRoomFor(bytes - this.leavingBytes)) return false;
    // How an unload ends is told to whoever asked for it.
    await Promise.race([...this.leaving].map(({ ended }) => ended)).catch(() => undefined);
    return true;
  }

  /** A second copy that only makes a version faster goes before the only copy of another. */
  private async shrinkOne(): Promise<boolean> {
    for (const { loaded } of this.parts.versions()) if ((await loaded?.shrink()) === true) return true;
    return false;
  }

  private leastRecentlyUsed(except: ServedVersion): ServedVersion | undefined {
    let oldest: ServedVersion | undefined;
    for (const served of this.parts.versions()) {
      if (served === except || served.state !== 'ready' || !this.givesWay(served, except)) continue;
      if (oldest === undefined || usedAt(served) < usedAt(oldest)) oldest = served;
    }
    return oldest;
  }

  private itself(served: ServedVersion): ServedVersion | undefined {
    return served.state === 'ready' && this.parts.hold(served) === Hold.none ? served : undefined;
  }

  private givesWay(served: ServedVersion, other: ServedVersion): boolean {
    const hold = this.parts.hold(served);
    return hold === Hold.none || hold < this.parts.hold(other);
  }

  /** What stays whatever is unloaded for a version: others on their way, and those that do not give way to it. */
  private lastingBytes(coming: ServedVersion): number {
    let sum = 0;
    for (const { bytes } of this.coming.values()) sum += bytes;
    for (const served of this.parts.versions()) {
      const { loaded, expectedLoad } = served;
      if (loaded === undefined || !this.isHeldBeside(served)) continue;
      if (served !== coming && this.givesWay(served, coming)) continue;
      // A copy that only makes it faster goes.
      sum += Math.min(loaded.totalBytes, this.parts.runtime.expectedBytes(expectedLoad));
    }
    return sum;
  }

  private async evict(served: ServedVersion, why: string): Promise<void> {
    const { model, version } = served;
    // Not loaded again before a request asks for it.
    served.parked = true;
    this.parts.log.info({ model, version, bytes: this.bytesOf(served) }, `model unloaded: ${why}`);
    await this.parts.release(served);
  }

  private full(served: ServedVersion, neededBytes: number): DomainError {
    const { model, version } = served;
    const left = Math.max(0, this.budgetBytes - this.lastingBytes(served));
    return new DomainError(
      'model_not_ready',
      `Model '${model}' version ${version} needs ${Math.ceil(neededBytes / MIB)} MiB of memory; ` +
        `versions that must stay loaded leave ${Math.floor(left / MIB)} MiB of ${Math.floor(this.budgetBytes / MIB)}.`,
      { retryAfterSeconds: FULL_RETRY_SECONDS },
    );
  }
}

/** Memory becomes free when an operator moves an alias, which is no matter of seconds. */
const FULL_RETRY_SECONDS = 30;

function usedAt({ lastUsedAtMs, loadedAtMs }: ServedVersion): number {
  return Math.max(lastUsedAtMs ?? 0, loadedAtMs ?? 0);
}
