import { TURNS } from '@sibyl/kernel';
import type { EventHistory, TakenEvent } from '../log/feature-event';
import { MICROS_PER_SECOND, type Micros } from '../time';
import { EntityState } from './entity-state';
import { readHistories, type HistoryAsk, type Viewpoint } from './history-reader';
import { MAX_SERIES_EVENTS } from './series';
import type { StateStore, StreamTable } from './state-store';

/** A read of the log goes on for those who come later when the one who asked has given up; not for longer than this. */
const LOAD_LIMIT = 10 * MICROS_PER_SECOND;
/** Event times run ahead of the clock by seconds at most, and clocks differ; all of them is meant. */
const AHEAD = 3600 * MICROS_PER_SECOND;
/** Events that lie ahead, as a rule; where there are more, the log is read once more. */
const EXTRA = 16;
/** More loads than this at one time are refused: PostgreSQL is slow or down, and each holds what comes for it meanwhile. */
const MAX_FLIGHTS = 16_384;
/** Events that come for an entity while its log is read; beyond it, the log is read once more instead. */
const MAX_WAITING = 4096;
/** The same for all entities together. */
const MAX_WAITING_ALL = 65_536;
const MAX_ROUNDS = 4;
/** Entities of one statement: who asks for more has them from several. */
const MAX_STATEMENT = 1000;
/** States that are made before others have their turn, each of hundreds of events. */
const SLICE = 16;

export interface StateAsk {
  readonly table: StreamTable;
  readonly entity: string;
}

interface Flight extends StateAsk {
  readonly promise: Promise<EntityState>;
  resolve(state: EntityState): void;
  reject(error: unknown): void;
  waiting: TakenEvent[];
  /** What was read is not all there is. */
  overflown: boolean;
  extra: number;
}

/** Brings states into memory from the log: one statement for all that go missing in one turn, and one at a time for each of them. */
export class StateLoader {
  private readonly flights = new Map<StreamTable, Map<string, Flight>>();
  /** Those that the next statement is for. */
  private started: Flight[] = [];
  private flying = 0;
  private waiting = 0;

  constructor(
    private readonly log: EventHistory,
    private readonly store: StateStore,
    private readonly now: () => Micros,
  ) {}

  /** One promise for each ask. They reject where the log cannot be read, and are not waited for by anybody else. */
  load(asks: readonly StateAsk[]): Promise<EntityState>[] {
    return asks.map(({ table, entity }) => {
      const running = this.flights.get(table)?.get(entity);
      if (running) return running.promise;
      if (this.flying >= MAX_FLIGHTS) return Promise.reject(new Error('too many states are being read from the log'));
      const flight = this.begin(table, entity);
      if (this.started.push(flight) === 1) queueMicrotask(() => this.runStarted());
      return flight.promise;
    });
  }

  /** Whoever asks in the same turn shares a statement: the versions that a batch names, and requests that come together. */
  private runStarted(): void {
    const { started } = this;
    this.started = [];
    for (let i = 0; i < started.length; i += MAX_STATEMENT) void this.run(started.slice(i, i + MAX_STATEMENT));
  }

  private begin(table: StreamTable, entity: string): Flight {
    const flight = newFlight(table, entity);
    let ofTable = this.flights.get(table);
    if (!ofTable) this.flights.set(table, (ofTable = new Map<string, Flight>()));
    ofTable.set(entity, flight);
    this.flying += 1;
    // From here on each event of the entity waits, so that none falls between the read and the state.
    table.awaited.set(entity, {
      take: (event) => this.hold(flight, event),
      startOver: () => (flight.overflown = true),
    });
    return flight;
  }

  private async run(flights: Flight[]): Promise<void> {
    const deadline = this.now() + LOAD_LIMIT;
    let open = flights;
    try {
      for (let round = 1; open.length > 0; round++) open = await this.read(open, deadline, round === MAX_ROUNDS);
    } catch (error) {
      for (const flight of open) {
        this.end(flight);
        flight.reject(error);
      }
    }
  }

  /** Returns those that have to be read once more. */
  private async read(flights: Flight[], deadline: Micros, last: boolean): Promise<Flight[]> {
    for (const flight of flights) {
      this.forgetWaiting(flight);
      flight.overflown = false;
    }
    const at = this.now();
    const view: Viewpoint = { at, upTo: at + AHEAD, knownAt: Infinity, corrected: false, deadline };
    const asks = flights.map(({ table, entity, extra }): HistoryAsk => ({ need: table.need, entity, extra }));
    const histories = await readHistories(this.log, asks, view);
    const again: Flight[] = [];
    for (const [i, flight] of flights.entries()) {
      // What is taken meanwhile waits with the flight.
      if (i % SLICE === SLICE - 1 && TURNS.due) await TURNS.next();
      const history = histories[i];
      const state = new EntityState(flight.table.need, flight.entity, history);
      for (const event of flight.waiting) state.take(event);
      const enough = !flight.overflown && state.suffices(this.now(), flight.table.need);
      // Who was told that an event is stored may be among those who wait: it is read with those before it that were not heard of.
      if ((!enough || state.behind) && !last) {
        if (!enough) flight.extra = Math.min(MAX_SERIES_EVENTS, flight.extra * 32);
        again.push(flight);
        continue;
      }
      this.end(flight);
      if (!enough) {
        flight.reject(new Error('events come faster than the log can be read'));
        continue;
      }
      state.trim(this.now());
      this.store.keep(flight.table, state);
      flight.resolve(state);
    }
    return again;
  }

  private hold(flight: Flight, event: TakenEvent): void {
    if (flight.waiting.length >= MAX_WAITING || this.waiting >= MAX_WAITING_ALL) {
      flight.overflown = true;
      return;
    }
    flight.waiting.push(event);
    this.waiting += 1;
  }

  private forgetWaiting(flight: Flight): void {
    this.waiting -= flight.waiting.length;
    flight.waiting = [];
  }

  private end(flight: Flight): void {
    const { table, entity } = flight;
    const ofTable = this.flights.get(table);
    if (ofTable?.get(entity) !== flight) return;
    table.awaited.delete(entity);
    ofTable.delete(entity);
    if (ofTable.size === 0) this.flights.delete(table);
    this.forgetWaiting(flight);
    this.flying -= 1;
  }
}

function newFlight(table: StreamTable, entity: string): Flight {
  let settle: Pick<Flight, 'resolve' | 'reject'> | undefined;
  const promise = new Promise<EntityState>((resolve, reject) => (settle = { resolve, reject }));
  // Whoever waits may have given up; a failed load is then nobody's.
  promise.catch(() => undefined);
  if (!settle) throw new RangeError('a promise that did not begin');
  return { table, entity, promise, ...settle, waiting: [], overflown: false, extra: EXTRA };
}
