// Hot: one is made for each live read.
import { MICROS_PER_MS, type Micros } from '../time';
import type { EntityState } from './entity-state';
import type { StateAsk, StateLoader } from './state-loader';
import { StreamTable, type StateStore } from './state-store';
import { covers, type StreamNeed } from './stream-need';

/** The states of one read: those in memory, those that were read for it, and those that still are missing. */
export class StateFinder {
  /** Why some are missing still. */
  unread: 'deadline' | 'failed' | undefined;
  /** Microseconds that reading took. */
  storage: Micros = 0;
  /** How often something was looked for in vain that still can be read. */
  misses = 0;
  private missing: Map<string, StateAsk> | undefined;
  private loaded: Map<string, EntityState[]> | undefined;
  private own: Map<StreamNeed, StreamTable> | undefined;

  constructor(private readonly store: StateStore) {}

  get wanting(): number {
    return this.missing?.size ?? 0;
  }

  /** Undefined, and noted as missing, where it is not in memory, or not enough of it for this moment. */
  find(need: StreamNeed, entity: string, at: Micros): EntityState | undefined {
    const stream = need.definition.name;
    const known = this.store.table(need);
    const table = known?.serves(need) ? known : this.ownTable(need);
    const state = this.store.find(table, entity);
    const sufficient = state?.suffices(at, need) === true;
    if (sufficient && !state.behind) return state;
    // It may have left memory again for want of room, or with a plan that nobody needs any more.
    const loaded = this.loaded?.get(`${stream}\n${entity}`);
    const fitting = loaded?.find((one) => covers(one.need, need) && one.suffices(at, need));
    if (fitting) return fitting;
    // One that is behind is right as of what it has heard of.
    if (this.unread) return sufficient ? state : undefined;
    if (state && !sufficient) this.store.drop(table, entity);
    this.misses += 1;
    this.missing ??= new Map<string, StateAsk>();
    this.missing.set(`${table.id}\n${entity}`, { table, entity });
    return undefined;
  }

  /** While a read waits for the log, its plan may go out of use: what it still needs is read for it alone, and not kept. */
  private ownTable(need: StreamNeed): StreamTable {
    this.own ??= new Map<StreamNeed, StreamTable>();
    const known = this.own.get(need);
    if (known) return known;
    const made = new StreamTable(need);
    this.own.set(need, made);
    return made;
  }

  /** Reads what is missing, until all fetches of this read took so long. The reads themselves go on, for those who ask next. */
  async fetch(loader: StateLoader, deadlineMs: number): Promise<void> {
    const { missing } = this;
    if (!missing) return;
    this.missing = undefined;
    const loaded = (this.loaded ??= new Map<string, EntityState[]>());
    const begin = performance.now();
    const asks = [...missing.values()];
    const promises = loader.load(asks);
    let failed = false;
    const all = Promise.all(
      asks.map(async ({ table, entity }, i) => {
        try {
          const state = await promises[i];
          const key = `${table.need.definition.name}\n${entity}`;
          if (state) loaded.set(key, [state, ...(loaded.get(key) ?? [])]);
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
