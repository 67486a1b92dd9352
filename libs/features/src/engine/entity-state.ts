// Hot: every read looks here, and every pushed event of an entity in memory is applied here.
import type { OperatorStep } from '../definitions/view-plan';
import type { FeatureEvent, TakenEvent } from '../log/feature-event';
import { MICROS_PER_SECOND, type Micros } from '../time';
import { EventColumns } from './event-columns';
import { indexAfter, MAX_SERIES_EVENTS, type Series } from './series';
import type { StreamNeed } from './stream-need';
import { TileSums } from './tile-sums';

/** Reads stamp their time as this process does, so what has been old for this long counts for each that is to come. */
const SETTLED = MICROS_PER_SECOND;
/** Measured: this object and its columns' object, its entry in a map, its key. */
const OBJECT_BYTES = 700;
/** An event that waits for those before it; so many may. */
const WAITING_BYTES = 400;
const MAX_WAITING = 64;

let versions = 0;

/** What was read of the log for a state. */
export interface HeldHistory {
  readonly events: readonly FeatureEvent[];
  /** Nothing older exists. */
  readonly whole: boolean;
  /** All events at or after this time are among them. */
  readonly since: Micros;
  /** Tiles would have to be summed of more events than are read at one time. */
  readonly tilesCut?: boolean;
  /** The greatest stamp of the entity when the log was read, where that is known: of an event that was read or not. */
  readonly arrived?: Micros;
}

const NOTHING: HeldHistory = { events: [], whole: true, since: Number.NEGATIVE_INFINITY };

/**
 * The newest events of one entity on one stream, as much of them as a need asks: from `since` on all there are, and besides
 * them an unbroken tail. The same for live reads, which keep it and apply what comes, and for reads of the past, which throw it away.
 */
export class EntityState {
  /** Another one after each change; no two states of a process ever have the same. */
  version = ++versions;
  /** All that the log took of the entity until then was applied, and nothing later: with it the log gives what a value was computed from. */
  arrived: Micros = Number.NEGATIVE_INFINITY;
  /** A sum needs events that are no longer here: the log has to be read again. */
  spoiled = false;
  /** Windows with tiles have no value. */
  readonly tilesCut: boolean;
  readonly columns: EventColumns;
  private readonly tiles: readonly TileSums[];
  /** How many events from the first are in the sums. */
  private summed = 0;
  /** Events that were heard before others that came before them, in the order of their stamps. */
  private waiting: readonly TakenEvent[] = [];
  private whole = true;
  private since = Number.NEGATIVE_INFINITY;
  /** No event of this time or before it is here, because its stream keeps none so old. */
  private dropped = Number.NEGATIVE_INFINITY;

  constructor(
    readonly need: StreamNeed,
    readonly entity: string,
    history: HeldHistory = NOTHING,
  ) {
    const { events } = history;
    this.columns = new EventColumns(need.definition, need.kept, events.length);
    this.tiles = need.folds.map((fold) => new TileSums(fold));
    for (let i = this.columns.append(events, 0); i < events.length; i += 1 + this.columns.append(events, i + 1))
      this.apply(events[i] as FeatureEvent);
    this.arrived = history.arrived ?? Math.max(this.arrived, this.columns.lastArrival);
    this.whole = history.whole;
    this.since = history.since;
    this.tilesCut = history.tilesCut ?? false;
  }

  get bytes(): number {
    let bytes = OBJECT_BYTES + 2 * this.entity.length + this.columns.bytes + this.waiting.length * WAITING_BYTES;
    for (const sums of this.tiles) bytes += sums.bytes;
    return bytes;
  }

  /** Events are known to exist that were not heard of yet: what is here is right as of `arrived`, and no more is known. */
  get behind(): boolean {
    return this.waiting.length > 0;
  }

  /** Hears of an event of this entity, however often and in whatever order: it is applied when all before it were. */
  take(event: TakenEvent): void {
    if (event.ingestedAt <= this.arrived) return;
    if (event.previous > 0 && event.previous > this.arrived) return this.wait(event);
    this.follow(event);
    for (let next = this.waiting[0]; next && next.previous <= this.arrived; next = this.waiting[0]) {
      this.waiting = this.waiting.slice(1);
      if (next.ingestedAt > this.arrived) this.follow(next);
    }
  }

  /** Takes an event of this entity; false where it changes nothing: known already, replaced already, or too old to matter. */
  apply(event: FeatureEvent): boolean {
    const { columns } = this;
    if (event.ingestedAt > this.arrived) this.arrived = event.ingestedAt;
    const place = columns.placeOf(event);
    if (this.need.definition.identity === 'event_time') {
      const same = columns.indexOfTime(event.eventTime);
      // What lies at or behind the event's own place is newer, or the event itself.
      if (same >= 0) return same < place && this.correct(same, event);
    } else if (columns.holds(place, event)) return false;
    if (!this.whole && place === columns.start && event.eventTime < this.since) {
      this.spoil(event.eventTime);
      return false;
    }
    const index = columns.insert(place, event);
    if (index < columns.start + this.summed) {
      this.summed += 1;
      this.resum(event.eventTime);
    }
    this.version = ++versions;
    return true;
  }

  /** Lets go of what no read after `now` can need. */
  trim(now: Micros): void {
    const { columns, need } = this;
    const settled = now - SETTLED;
    const end = indexAfter(columns.times, settled, columns.start, columns.end);
    const byTime = indexAfter(columns.times, settled - this.keptSpan(), columns.start, end);
    // One more than counts, so that it is known when the last one that does not count came.
    const first = Math.max(Math.min(end - need.history, byTime), end - MAX_SERIES_EVENTS - 1);
    if (first <= columns.start) return;
    this.sumUpTo(first);
    this.since = Math.max(this.since, columns.timeAt(first - 1) + 1);
    this.whole = false;
    this.summed -= first - columns.start;
    columns.dropBefore(first);
    columns.fit();
  }

  /** What counts at `at`; `span`: the longest window by time that will be asked about. */
  series(at: Micros, span: Micros): Series {
    this.dropOld(at);
    const { columns } = this;
    const { times, numbers, strings } = columns;
    const end = indexAfter(times, at, columns.start, columns.end);
    const start = Math.max(columns.start, end - MAX_SERIES_EVENTS);
    const whole = this.whole && start === columns.start;
    return { start, end, times, numbers, strings, whole, cut: !whole && this.cutAt(start, end, at - span) };
  }

  /** All that `need` asks is here for a value at `at`. */
  suffices(at: Micros, need: StreamNeed): boolean {
    const { columns } = this;
    const { retention } = this.need.definition;
    if (this.spoiled || at - retention < this.dropped) return false;
    const end = indexAfter(columns.times, at, columns.start, columns.end);
    if (this.tiles.length > 0 && end < columns.start + this.summed) return false;
    if (this.whole) return true;
    const count = end - columns.start;
    if (count >= MAX_SERIES_EVENTS) return true;
    if (count < need.history) return false;
    const edge = at - need.span;
    return need.span === 0 || this.since <= edge + 1 || columns.timeAt(columns.start) <= edge;
  }

  /** Of what counts at `at`, all that is here was known at that moment, and nothing that is later stands in its place. */
  wasKnownAt(at: Micros): boolean {
    const { columns } = this;
    if (this.behind) return false;
    if (this.arrived <= at) return true;
    // Sums may hold what came later and is gone from here.
    if (this.tiles.length > 0) return false;
    const end = indexAfter(columns.times, at, columns.start, columns.end);
    for (let i = columns.start; i < end; i++) if (columns.arrivedAt(i) > at) return false;
    return true;
  }

  /** Sums of the tiles of a step's window at `at`; what counts at `at` is summed first, and no earlier moment can be asked afterwards. */
  sumsOf(step: OperatorStep, at: Micros, end: number): readonly unknown[] {
    return this.tilesOf(step, end).window(at);
  }

  tilesOf(step: OperatorStep, end: number): TileSums {
    this.sumUpTo(end);
    const sums = this.tiles.find((tiles) => tiles.need.step === step);
    if (!sums) throw new RangeError(`no sums of ${step.feature.name}`);
    return sums;
  }

  /** From when on, and until when, the same events count as at the moment of which the series ends there. */
  countFrom(end: number): Micros {
    const { columns } = this;
    const came = end > columns.start ? columns.timeAt(end - 1) : Number.NEGATIVE_INFINITY;
    return Math.max(came, this.dropped + this.need.definition.retention);
  }

  countUntil(end: number): Micros {
    const { columns } = this;
    const comes = end < columns.end ? columns.timeAt(end) : Number.POSITIVE_INFINITY;
    const oldest = columns.length > 0 ? columns.timeAt(columns.start) : Number.POSITIVE_INFINITY;
    return Math.min(comes, Math.min(oldest, this.whole ? oldest : this.since - 1) + this.need.definition.retention);
  }

  /**
   * Lets go of what the stream keeps no more: it does not count, whether the log still has it or not, so that it makes no difference
   * who read the log when.
   */
  private dropOld(at: Micros): void {
    const { columns } = this;
    const edge = at - this.need.definition.retention;
    const first = indexAfter(columns.times, edge, columns.start, columns.end);
    if (first === columns.start && (this.whole || this.since > edge + 1)) return;
    if (first > columns.start) {
      this.sumUpTo(Math.max(first, columns.start + this.summed));
      this.summed -= first - columns.start;
      this.dropped = columns.timeAt(first - 1);
      columns.dropBefore(first);
    } else this.dropped = edge;
    // Nothing that counts is older than what is here.
    this.whole = true;
    this.version = ++versions;
  }

  private follow(event: TakenEvent): void {
    if (event.logOnly) this.arrived = event.ingestedAt;
    else this.apply(event);
  }

  private wait(event: TakenEvent): void {
    const { waiting } = this;
    if (waiting.length >= MAX_WAITING) {
      this.spoiled = true;
      return;
    }
    const place = waiting.findIndex(({ ingestedAt }) => ingestedAt >= event.ingestedAt);
    if (waiting[place]?.ingestedAt === event.ingestedAt) return;
    this.waiting = place < 0 ? [...waiting, event] : waiting.toSpliced(place, 0, event);
  }

  private correct(index: number, event: FeatureEvent): true {
    this.columns.put(index, event);
    if (index < this.columns.start + this.summed) this.resum(event.eventTime);
    this.version = ++versions;
    return true;
  }

  private keptSpan(): Micros {
    const { folds, span, definition } = this.need;
    // Late events change tiles that are summed already: those that can still change are kept, if they are not too many.
    return folds.reduce((longest, { tiles }) => Math.max(longest, tiles.tile + definition.allowedLateness), span);
  }

  private cutAt(start: number, end: number, edge: Micros): boolean {
    const { columns } = this;
    if (start > columns.start) return columns.timeAt(start - 1) > edge;
    if (this.since <= edge + 1) return false;
    return end > start && columns.timeAt(start) > edge;
  }

  private sumUpTo(end: number): void {
    const { columns } = this;
    if (this.tiles.length === 0) {
      this.summed = end - columns.start;
      return;
    }
    const from = columns.start + this.summed;
    if (end <= from) return;
    const series = this.all();
    for (let index = from; index < end; index++) for (const sums of this.tiles) sums.add(columns, series, index);
    this.summed = end - columns.start;
  }

  /** Sums the tiles of `time` anew. In the order of the events, as whoever reads the log does: sums of floating point depend on it. */
  private resum(time: Micros): void {
    const { columns } = this;
    const series = this.all();
    const end = columns.start + this.summed;
    for (const sums of this.tiles) {
      if (sums.past(time, columns.timeAt(end - 1))) continue;
      const begin = sums.reopen(time);
      const known = this.whole || this.since <= begin || columns.timeAt(columns.start) < begin;
      if (!known) this.spoiled = true;
      const last = begin + sums.need.tiles.tile - 1;
      let index = indexAfter(columns.times, begin - 1, columns.start, end);
      for (; index < end && columns.timeAt(index) <= last; index++) sums.add(columns, series, index);
    }
  }

  /** An event that is too old for what is kept came, or came once more: it may belong into a sum. */
  private spoil(time: Micros): void {
    const { columns } = this;
    // No read asks for a moment before the oldest event that is kept.
    const moment = columns.length > 0 ? columns.timeAt(columns.start) : time;
    if (this.tiles.some((sums) => !sums.past(time, moment))) this.spoiled = true;
  }

  private all(): Series {
    const { start, end, times, numbers, strings } = this.columns;
    return { start, end, times, numbers, strings, whole: this.whole, cut: false };
  }
}
