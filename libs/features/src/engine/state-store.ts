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

const NONE: readonly StreamTable[] = [];

let made = 0;

/** The states of one stream in memory, as those read it who keep its events for the same time. */
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
  /** By the name of the stream; as a rule one. */
  private tables = new Map<string, StreamTable[]>();
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
    const tables = new Map<string, StreamTable[]>();
    for (const need of needsOf(plans)) {
      const { name } = need.definition;
      const table = this.table(need);
      const fits = table?.serves(need) === true && !isFarAbove(table.need, need);
      tables.set(name, [...(tables.get(name) ?? []), fits ? table : new StreamTable(need)]);
    }
    for (const [name, before] of this.tables) {
      for (const table of before)
        if (tables.get(name)?.includes(table) !== true) for (const held of table.held.values()) this.remove(held);
    }
    this.tables = tables;
  }

  /** The table for those who keep the stream as long as this need does; whether it has all that this one asks is another question. */
  table({ definition: { name, retention } }: StreamNeed): StreamTable | undefined {
    for (const table of this.tablesOf(name)) if (table.need.definition.retention === retention) return table;
    return undefined;
  }

  tablesOf(stream: string): readonly StreamTable[] {
    return this.tables.get(stream) ?? NONE;
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
    const held = program.home && this.table(program.home)?.held.get(entity);
    if (!held) return undefined;
    for (const known of held.memos) if (known.program === program) return known.memo;
    const memo = new Memo(program);
    held.memos = [{ program, memo }, ...held.memos].slice(0, MAX_MEMOS);
    this.weigh(held);
    return memo;
  }

  /** After a read: what its values hold, and the sums that it made. */
  weighRead(program: Program, entity: string, memo: Memo): void {
    memo.weigh();
    for (const [i, { keyed }] of program.plan.streams.entries()) {
      const held = keyed ? undefined : this.table(program.needOf(i))?.held.get(entity);
      if (held) this.weigh(held);
    }
  }

  keep(table: StreamTable, state: EntityState): void {
    if (this.table(table.need) !== table) return;
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
      for (const table of this.tablesOf(event.stream)) {
        table.awaited.get(event.entity)?.take(event);
        const held = table.held.get(event.entity);
        if (held) this.apply(held, event);
      }
    }
  }

  lapsed(): void {
    for (const table of [...this.tables.values()].flat()) {
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
