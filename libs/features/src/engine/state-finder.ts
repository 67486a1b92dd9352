// Hot: one is made for each live read.
import { MICROS_PER_MS, type Micros } from '../time';
import type { EntityState } from './entity-state';
import type { StateAsk, StateLoader } from './state-loader';
import type { StateStore } from './state-store';
import type { StreamNeed } from './stream-need';

/** The states of one read: those in memory, those that were read for it, and those that still are missing. */
export class StateFinder {
  /** Why some are missing still. */
  unread: 'deadline' | 'failed' | undefined;
  /** Microseconds that reading took. */
  storage: Micros = 0;
  /** How often something was looked for in vain that still can be read. */
  misses = 0;
  private missing: Map<string, StateAsk> | undefined;
  private loaded: Map<string, EntityState> | undefined;

  constructor(private readonly store: StateStore) {}

  get wanting(): number {
    return this.missing?.size ?? 0;
  }

  /** Undefined, and noted as missing, where it is not in memory, or not enough of it for this moment. */
  find(need: StreamNeed, entity: string, at: Micros): EntityState | undefined {
    const stream = need.definition.name;
    const table = this.store.table(stream);
    if (!table?.serves(need)) throw new RangeError(`the plan is not in use: stream ${stream}`);
    const state = this.store.find(table, entity);
    const sufficient = state?.suffices(at, need) === true;
    if (sufficient && !state.behind) return state;
    const key = `${stream}\n${entity}`;
    // It may have left memory again for want of room.
    const loaded = this.loaded?.get(key);
    if (loaded?.need === table.need && loaded.suffices(at, need)) return loaded;
    // One that is behind is right as of what it has heard of.
    if (this.unread) return sufficient ? state : undefined;
    if (state && !sufficient) this.store.drop(table, entity);
    this.misses += 1;
    this.missing ??= new Map<string, StateAsk>();
    this.missing.set(key, { table, entity });
    return undefined;
  }

  /** Reads what is missing, until all fetches of this read took so long. The reads themselves go on, for those who ask next. */
  async fetch(loader: StateLoader, deadlineMs: number): Promise<void> {
    const { missing } = this;
    if (!missing) return;
    this.missing = undefined;
    const loaded = (this.loaded ??= new Map<string, EntityState>());
    const begin = performance.now();
    const promises = loader.load([...missing.values()]);
    let failed = false;
    const all = Promise.all(
      [...missing.keys()].map(async (key, i) => {
        try {
          const state = await promises[i];
          if (state) loaded.set(key, state);
        } catch {
          failed = true;
        }
      }),
    );
    const inTime = await within(all, Math.max(0, deadlineMs - this.storage / MICROS_PER_MS));
    this.storage += Math.round((performance.now() - begin) * MICROS_PER_MS);
    if (failed) this.unread = 'failed';
    else if (!inTime) this.unread = 'deadline';
  }
}

/** Whether it came to an end in this time. */
async function within(work: Promise<unknown>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => (timer = setTimeout(() => resolve(false), ms)));
  try {
    return await Promise.race([work.then(() => true), late]);
  } finally {
    clearTimeout(timer);
  }
}
