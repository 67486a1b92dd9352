// Hot: every read finds its states here, and every event that is taken anywhere passes here.
import type { ViewPlan } from '../definitions/view-plan';
import type { EventListener, TakenEvent } from '../log/feature-event';
import type { Micros } from '../time';
import type { EntityState } from './entity-state';
import { Memo } from './memo';
import type { Program } from './program';
import { covers, isFarAbove, needsOf, type StreamNeed } from './stream-need';

/** Plans whose values are kept of one entity; more of them at one time are versions of one another. */
const MAX_MEMOS = 8;

/** A state in the order of use. */
interface Held {
  readonly state: EntityState;
  readonly table: StreamTable;
  /** What plans came to that have this as their first state, the newest first. */
  memos: readonly { readonly program: Program; readonly memo: Memo }[];
  bytes: number;
  newer: Held | undefined;
  older: Held | undefined;
}

/** A state on its way into memory. */
interface Awaiting {
  take(event: TakenEvent): void;
  /** Events may have been missed. */
  startOver(): void;
}

let made = 0;

/** The states of one stream in memory. */
export class StreamTable {
  /** Tells tables of one process apart. */
  readonly id = ++made;
  readonly held = new Map<string, Held>();
  /** Entities whose state is being read from the log: what comes meanwhile waits for it. */
  readonly awaited = new Map<string, Awaiting>();

  private readonly served = new WeakSet<StreamNeed>();

  constructor(readonly need: StreamNeed) {}

  /** Its states have all that this need asks. */
  serves(need: StreamNeed): boolean {
    if (this.served.has(need)) return true;
    if (!covers(this.need, need)) return false;
    this.served.add(need);
    return true;
  }
}

/**
 * Entity states in memory, at most so many bytes of them: the least recently used go first and come back from the log. Nothing is
 * wrong in here by age: a state is either told of each event or not here.
 */
export class StateStore implements EventListener {
  /** Bytes of all states in memory. */
  bytes = 0;
  private tables = new Map<string, StreamTable>();
  private newest: Held | undefined;
  private oldest: Held | undefined;
  private count = 0;

  constructor(
    private readonly maxBytes: number,
    private readonly now: () => Micros,
  ) {}

  get size(): number {
    return this.count;
  }

  /** The plans that reads may ask for from now on. States that have too little for them go, and those that have far too much. */
  usePlans(plans: Iterable<ViewPlan>): void {
    const tables = new Map<string, StreamTable>();
    for (const [name, need] of needsOf(plans)) {
      const table = this.tables.get(name);
      const fits = table?.serves(need) === true && !isFarAbove(table.need, need);
      tables.set(name, fits ? table : new StreamTable(need));
    }
    for (const [name, table] of this.tables) {
      if (tables.get(name) === table) continue;
      for (const held of table.held.values()) this.remove(held);
    }
    this.tables = tables;
  }

  table(stream: string): StreamTable | undefined {
    return this.tables.get(stream);
  }

  find(table: StreamTable, entity: string): EntityState | undefined {
    const held = table.held.get(entity);
    if (!held) return undefined;
    if (held !== this.newest) {
      this.unlink(held);
      this.link(held);
    }
    return held.state;
  }

  /** Kept, and forgotten, with the state of the plan's first stream; undefined where that is not in memory. */
  memoOf(program: Program, entity: string): Memo | undefined {
    const held = program.home === undefined ? undefined : this.tables.get(program.home)?.held.get(entity);
    if (!held) return undefined;
    for (const known of held.memos) if (known.program === program) return known.memo;
    const memo = new Memo(program);
    held.memos = [{ program, memo }, ...held.memos].slice(0, MAX_MEMOS);
    this.weigh(held);
    return memo;
  }

  /** After a read: what its values hold, and the sums that it made. */
  weighRead({ plan }: Program, entity: string, memo: Memo): void {
    memo.weigh();
    for (const { definition, keyed } of plan.streams) {
      const held = keyed ? undefined : this.tables.get(definition.name)?.held.get(entity);
      if (held) this.weigh(held);
    }
  }

  keep(table: StreamTable, state: EntityState): void {
    if (this.tables.get(table.need.definition.name) !== table) return;
    this.drop(table, state.entity);
    const held: Held = { state, table, memos: [], bytes: 0, newer: undefined, older: undefined };
    table.held.set(state.entity, held);
    this.count += 1;
    this.link(held);
    this.weigh(held);
  }

  drop(table: StreamTable, entity: string): void {
    const held = table.held.get(entity);
    if (held) this.remove(held);
  }

  taken(events: readonly TakenEvent[]): void {
    for (const event of events) {
      const table = this.tables.get(event.stream);
      if (!table) continue;
      table.awaited.get(event.entity)?.take(event);
      const held = table.held.get(event.entity);
      if (held) this.apply(held, event);
    }
  }

  lapsed(): void {
    for (const table of this.tables.values()) {
      for (const held of table.held.values()) this.remove(held);
      for (const awaiting of table.awaited.values()) awaiting.startOver();
    }
  }

  private apply(held: Held, event: TakenEvent): void {
    const { state } = held;
    if (state.columns.full) state.trim(this.now());
    state.take(event);
    if (state.spoiled) this.remove(held);
    else this.weigh(held);
  }

  private weigh(held: Held): void {
    let { bytes } = held.state;
    for (const { memo } of held.memos) bytes += memo.bytes;
    this.bytes += bytes - held.bytes;
    held.bytes = bytes;
    while (this.bytes > this.maxBytes && this.oldest) this.remove(this.oldest);
  }

  private remove(held: Held): void {
    held.table.held.delete(held.state.entity);
    this.unlink(held);
    this.count -= 1;
    this.bytes -= held.bytes;
  }

  private link(held: Held): void {
    held.older = this.newest;
    if (this.newest) this.newest.newer = held;
    else this.oldest = held;
    this.newest = held;
  }

  private unlink(held: Held): void {
    if (held.newer) held.newer.older = held.older;
    else if (this.newest === held) this.newest = held.older;
    if (held.older) held.older.newer = held.newer;
    else if (this.oldest === held) this.oldest = held.newer;
    held.newer = held.older = undefined;
  }
}
