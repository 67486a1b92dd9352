import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { SingleFlight, type Clock } from '@sibyl/kernel';
import { TYPED_ARRAYS, type LoadMessage, type Tensor } from '@sibyl/protocol';
import type { InferenceLog } from './inference-log';
import type { InferenceOptions } from './inference-options';
import { ModelPreparation } from './model-preparation';
import { PreparedStore, type PreparedModel } from './prepared-store';
import type { RunnerSettings } from './runner';
import type { Machine } from './select-providers';
import type { ServedVersion } from './served-version';

export interface PreparedModelsDeps {
  readonly options: InferenceOptions;
  readonly settings: RunnerSettings;
  readonly clock: Clock;
  readonly log: InferenceLog;
  /** Seals what is kept on disk; without it nothing is. */
  readonly sealKey?: Uint8Array;
  /** Ids of those that versions in this process map, or are about to. */
  readonly inUse: () => ReadonlySet<string>;
}

const MIB = 1024 * 1024;
/** Of the runtime's own file layout, so that a change of ours finds nothing of before. */
const FORMAT = 1;
/** The original weights and the prepacked ones. */
const DISK_FACTOR = 2.2;
/** Space on the disk that is left to others, the audit spool first of all. */
const DISK_RESERVE_BYTES = 2048 * MIB;
const POLL_MS = 250;
/** After a failure, so that each load does not pay for another one. */
const RETRY_MS = 600_000;

/**
 * Large models in the form in which runners share their memory: saved once with prepacked weights, and mapped by every runner that
 * loads them. Each is made from the artifact itself, by a process of its own, and used only if it answers bit for bit the same.
 */
export class PreparedModels {
  private readonly store: PreparedStore | undefined;
  private readonly flights = new SingleFlight<PreparedModel | undefined>();
  private readonly retryAt = new Map<string, number>();
  private readonly running = new Set<ModelPreparation>();
  private closed = false;

  constructor(private readonly deps: PreparedModelsDeps) {
    const { options, sealKey } = deps;
    const wanted = options.preparedFolder !== '' && options.preparedBytes > 0;
    this.store = wanted && sealKey !== undefined ? new PreparedStore(options.preparedFolder, sealKey) : undefined;
  }

  /** What runners load instead of the version's file; undefined where there is nothing better. Never throws. */
  async of(version: ServedVersion, { runtime }: Machine): Promise<PreparedModel | undefined> {
    const { store } = this;
    const { digest } = version.file;
    if (store === undefined || digest === undefined || this.closed) return undefined;
    // Prepacked weights are the CPU's; others find nothing to share in them.
    if (version.providers.join() !== 'cpu' || version.expected.fileBytes < this.deps.options.preparedModelBytes)
      return undefined;
    const id = entryId(digest, runtime);
    return this.flights.run(id, () =>
      this.find(store, id, version).catch((error: unknown) => {
        this.retryAt.set(id, this.deps.clock.monotonic() + RETRY_MS);
        this.deps.log.warn({ err: error, key: version.key }, 'a model could not be prepared: it is loaded as it is');
        return undefined;
      }),
    );
  }

  close(): void {
    this.closed = true;
    for (const preparation of this.running) preparation.stop();
  }

  private async find(store: PreparedStore, id: string, version: ServedVersion): Promise<PreparedModel | undefined> {
    const limitAt = this.deps.clock.monotonic() + this.deps.options.loadLimitMs;
    for (;;) {
      const found = await store.read(id);
      if (found === 'unusable') return undefined;
      if (found !== undefined) return found;
      const now = this.deps.clock.monotonic();
      if (this.closed || now > limitAt || now < (this.retryAt.get(id) ?? 0)) return undefined;
      if (await store.isBuilding(id)) await sleep(POLL_MS);
      else await this.make(store, id, version);
    }
  }

  private async make(store: PreparedStore, id: string, version: ServedVersion): Promise<void> {
    const { options, clock, log } = this.deps;
    const diskBytes = version.expected.fileBytes * DISK_FACTOR;
    await store.trim(options.preparedBytes - diskBytes, this.deps.inUse);
    if (diskBytes > options.preparedBytes) throw new Error(`it takes more than ${options.preparedBytes} bytes`);
    if ((await store.freeBytes()) < diskBytes + DISK_RESERVE_BYTES) throw new Error('the disk has no room for it');
    const begun = clock.monotonic();
    const bounds = { limitMs: options.loadLimitMs, memoryBytes: options.runnerMemoryBytes };
    const preparation = new ModelPreparation(this.deps.settings, clock, bounds);
    this.running.add(preparation);
    try {
      const message: LoadMessage = { path: version.file.path, providers: version.providers };
      const made = await store.make(id, async (folder) => {
        const result = await preparation.run(message, folder, comparisonRuns(version));
        if (!result.usable) log.warn({ key: version.key }, 'a prepared model answers otherwise and is not used');
        return result;
      });
      if (made) log.info({ key: version.key, tookMs: Math.round(clock.monotonic() - begun) }, 'a model was prepared');
    } finally {
      this.running.delete(preparation);
    }
  }
}

/** The warm-up runs; made-up ones hold zeros, to which many a network answers the same whatever its weights are. */
function comparisonRuns({ loadOptions }: ServedVersion): readonly (readonly Tensor[])[] {
  const { warmup, warmupIsGuess } = loadOptions;
  return warmupIsGuess === true ? warmup.map((inputs) => inputs.map(varied)) : warmup;
}

function varied(tensor: Tensor): Tensor {
  if (tensor.datatype !== 'FP32' && tensor.datatype !== 'FP64') return tensor;
  const data = new TYPED_ARRAYS[tensor.datatype](tensor.data.length);
  for (let i = 0; i < data.length; i++) data[i] = Math.sin(i + 1);
  return { ...tensor, data };
}

/** Prepacked weights fit one model, one build of the runtime and one kind of processor. */
function entryId(digest: string, runtime: string): string {
  return createHash('sha256')
    .update(JSON.stringify([FORMAT, digest, runtime, 'cpu', process.platform, process.arch, processorFlags()]))
    .digest('hex');
}

/** What code paths the runtime may choose from; empty where the system does not tell. */
function processorFlags(): string {
  try {
    return /^(?:flags|Features)\s*:.*$/m.exec(readFileSync('/proc/cpuinfo', 'latin1'))?.[0] ?? '';
  } catch {
    return '';
  }
}
