// Hot: every event that is pushed for an entity in memory passes here, and every read looks at what lies here.
import type { StreamDefinition } from '../definitions/feature-view';
import type { FeatureValue } from '../feature-value';
import type { FeatureEvent } from '../log/feature-event';
import type { Micros } from '../time';
import { ID_WORDS, readEventId, writeEventId } from './event-id';
import { indexAfter } from './series';
import { textBytes } from './value-bytes';

const FIRST_CAPACITY = 4;
/** Measured: an ArrayBuffer with its store, a view upon it, an array. */
const BUFFER_BYTES = 250;
const VIEW_BYTES = 180;
const ARRAY_BYTES = 40;

const scratch = new Uint32Array(ID_WORDS);

/**
 * Events of one entity and stream in order, as contiguous columns: appending costs a write a column, and what is old falls off
 * at the front without a move. All columns of numbers lie in one buffer.
 */
export class EventColumns {
  start = 0;
  end = 0;
  times: Float64Array;
  numbers: (Float64Array | undefined)[];
  readonly strings: ((string | null)[] | undefined)[];
  private arrivals: Float64Array;
  private ids: Uint32Array;
  private capacity = 0;
  private textBytes = 0;
  private readonly numberColumns: number;
  private readonly textColumns: number;

  /** `kept`: for each field of the stream, whether anything reads it. */
  constructor(
    private readonly definition: StreamDefinition,
    private readonly kept: readonly boolean[],
    capacity = FIRST_CAPACITY,
  ) {
    const { fields } = definition;
    this.strings = fields.map((field, i) => (kept[i] && field.type === 'string' ? [] : undefined));
    this.textColumns = this.strings.filter(Boolean).length;
    this.numberColumns = fields.filter((field, i) => kept[i] && field.type !== 'string').length;
    this.numbers = new Array<Float64Array | undefined>(fields.length).fill(undefined);
    this.times = this.arrivals = new Float64Array(0);
    this.ids = new Uint32Array(0);
    this.resize(Math.max(FIRST_CAPACITY, capacity));
  }

  get length(): number {
    return this.end - this.start;
  }

  get bytes(): number {
    const views = this.numberColumns + 3;
    const arrays = 2 * (ARRAY_BYTES + 8 * this.kept.length);
    const text = this.textColumns * (ARRAY_BYTES + 8 * this.capacity) + this.textBytes;
    return BUFFER_BYTES + views * VIEW_BYTES + arrays + this.capacity * this.stride() + text;
  }

  timeAt(index: number): Micros {
    return this.times[index] as number;
  }

  arrivedAt(index: number): Micros {
    return this.arrivals[index] as number;
  }

  get lastArrival(): Micros {
    let last = Number.NEGATIVE_INFINITY;
    for (let i = this.start; i < this.end; i++) last = Math.max(last, this.arrivedAt(i));
    return last;
  }

  idAt(index: number): string {
    return readEventId(this.ids, index * ID_WORDS);
  }

  /** For who may want the id later, when other events lie here. */
  idWords(index: number): readonly number[] {
    const { ids } = this;
    const at = index * ID_WORDS;
    return [ids[at] as number, ids[at + 1] as number, ids[at + 2] as number, ids[at + 3] as number];
  }

  /** The value of a field as expressions take it. */
  valueAt(field: number, index: number): FeatureValue {
    const texts = this.strings[field];
    if (texts) return texts[index] ?? null;
    const number = this.numbers[field]?.[index] ?? Number.NaN;
    if (Number.isNaN(number)) return null;
    return this.definition.fields[field]?.type === 'bool' ? number !== 0 : number;
  }

  /** Where the event belongs: the first index that does not lie before it in (event time, arrival, id). */
  placeOf(event: FeatureEvent): number {
    writeEventId(event.eventId, scratch, 0);
    if (this.end === this.start || this.compare(this.end - 1, event) < 0) return this.end;
    let low = this.start;
    let high = this.end;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.compare(middle, event) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The event at `index`, a place that `placeOf` gave, is this one. */
  holds(index: number, event: FeatureEvent): boolean {
    return index < this.end && this.compare(index, event) === 0;
  }

  /** Index of an event of this time, or -1; for streams whose events are known by their time. */
  indexOfTime(time: Micros): number {
    const index = indexAfter(this.times, time, this.start, this.end) - 1;
    return index >= this.start && this.times[index] === time ? index : -1;
  }

  /** Lays events behind all that are here, from this one on and as long as their times rise; returns how many those were. */
  append(events: readonly FeatureEvent[], first: number): number {
    let end = first;
    let time = this.end > this.start ? this.timeAt(this.end - 1) : Number.NEGATIVE_INFINITY;
    for (; end < events.length; end++) {
      const { eventTime } = events[end] as FeatureEvent;
      if (eventTime <= time) break;
      time = eventTime;
    }
    const count = end - first;
    if (this.end + count > this.capacity) this.resize(this.length + count);
    for (let from = first, index = this.end; from < end; from++, index++) {
      const event = events[from] as FeatureEvent;
      this.times[index] = event.eventTime;
      this.arrivals[index] = event.ingestedAt;
      writeEventId(event.eventId, this.ids, index * ID_WORDS);
      this.putValues(index, event.values);
    }
    this.end += count;
    return count;
  }

  /** At the place that `placeOf` gave; returns where that has come to lie. */
  insert(place: number, event: FeatureEvent): number {
    if (this.end === this.capacity) place -= this.makeRoom();
    if (place < this.end) this.open(place);
    this.end += 1;
    this.put(place, event);
    return place;
  }

  /** Lays the event over the one at `index`: the event that `placeOf` was asked about last, as its id is at hand. */
  put(index: number, event: FeatureEvent): void {
    this.times[index] = event.eventTime;
    this.arrivals[index] = event.ingestedAt;
    this.ids.set(scratch, index * ID_WORDS);
    this.putValues(index, event.values);
  }

  private putValues(index: number, values: readonly FeatureValue[]): void {
    for (let field = 0; field < this.kept.length; field++) {
      const numbers = this.numbers[field];
      const value = values[field];
      if (numbers)
        numbers[index] = typeof value === 'number' ? value : value === true ? 1 : value === false ? 0 : Number.NaN;
      const texts = this.strings[field];
      if (!texts) continue;
      const text = typeof value === 'string' ? value : null;
      this.textBytes += textBytes(text) - textBytes(texts[index] ?? null);
      texts[index] = text;
    }
  }

  /** Lets go of all before `index`. */
  dropBefore(index: number): void {
    if (this.textColumns > 0) this.forgetTexts(this.start, index);
    this.start = index;
  }

  private compare(index: number, event: FeatureEvent): number {
    const byTime =
      (this.times[index] as number) - event.eventTime || (this.arrivals[index] as number) - event.ingestedAt;
    if (byTime !== 0) return byTime;
    for (let word = 0; word < ID_WORDS; word++) {
      const difference = (this.ids[index * ID_WORDS + word] as number) - (scratch[word] as number);
      if (difference !== 0) return difference;
    }
    return 0;
  }

  get full(): boolean {
    return this.end === this.capacity;
  }

  /** Gives back room that is no longer needed. */
  fit(): void {
    if (this.capacity > 64 && this.length < this.capacity >>> 3) this.resize(Math.max(FIRST_CAPACITY, this.length * 2));
  }

  /** Returns how far what is there has moved to the front. */
  private makeRoom(): number {
    const moved = this.start;
    if (moved < this.capacity >>> 2) {
      this.resize(this.capacity * 2);
      return moved;
    }
    for (const column of this.columns()) column.copyWithin(0, moved, this.end);
    this.ids.copyWithin(0, moved * ID_WORDS, this.end * ID_WORDS);
    this.atFront();
    return moved;
  }

  private open(place: number): void {
    for (const column of this.columns()) column.copyWithin(place + 1, place, this.end);
    this.ids.copyWithin((place + 1) * ID_WORDS, place * ID_WORDS, this.end * ID_WORDS);
    for (const texts of this.strings) texts?.splice(place, 0, null);
  }

  private forgetTexts(from: number, to: number): void {
    for (const texts of this.strings) {
      if (!texts) continue;
      for (let i = from; i < to; i++) {
        this.textBytes -= textBytes(texts[i] ?? null);
        texts[i] = null;
      }
    }
  }

  private stride(): number {
    return 8 * (2 + this.numberColumns) + 4 * ID_WORDS;
  }

  private columns(): Float64Array[] {
    return [this.times, this.arrivals, ...this.numbers.filter((column) => column !== undefined)];
  }

  private resize(capacity: number): void {
    const { start, end } = this;
    const buffer = new ArrayBuffer(capacity * this.stride());
    let offset = 0;
    const next = (old: Float64Array | undefined): Float64Array => {
      const column = new Float64Array(buffer, offset, capacity);
      offset += capacity * 8;
      if (old) column.set(old.subarray(start, end));
      return column;
    };
    this.times = next(this.times);
    this.arrivals = next(this.arrivals);
    this.numbers = this.definition.fields.map((field, i) =>
      this.kept[i] && field.type !== 'string' ? next(this.numbers[i]) : undefined,
    );
    const ids = new Uint32Array(buffer, offset, capacity * ID_WORDS);
    ids.set(this.ids.subarray(start * ID_WORDS, end * ID_WORDS));
    this.ids = ids;
    this.capacity = capacity;
    this.atFront();
  }

  private atFront(): void {
    if (this.start > 0) for (const texts of this.strings) texts?.splice(0, this.start);
    this.end -= this.start;
    this.start = 0;
  }
}
