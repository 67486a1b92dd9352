// Hot: of every row that is answered.
import { jsonOf, type FeatureValue, type ValueStatus } from '../feature-value';
import { instantText, type Micros } from '../time';
import type { ValueSource } from './selection';

/** The values of one entity, in the order of the members. */
export interface RowValues {
  readonly values: readonly FeatureValue[];
  readonly statuses: readonly ValueStatus[];
  /** NaN: no event is behind the value. */
  readonly times: readonly Micros[];
  readonly sources: readonly ValueSource[];
}

/** Lists of one row as JSON; they do not change with the moment. */
export interface RowLists {
  readonly values: string;
  readonly statuses: string;
  readonly times: string;
  readonly sources: string;
}

/** What a row is in an answer: made once, and kept with it. */
export class RowTexts {
  /** All values are of one time. */
  private readonly oneTime: boolean;
  private readonly oneStatus: boolean;
  private eachValue: readonly string[] | undefined;
  private made: RowLists | undefined;

  constructor(private readonly row: RowValues) {
    this.oneTime = areSame(row.times);
    this.oneStatus = areSame(row.statuses);
  }

  /** All values were come by alike, and are of one time. */
  get uniform(): boolean {
    return this.oneTime && this.oneStatus;
  }

  /** Each value as JSON. */
  get values(): readonly string[] {
    return (this.eachValue ??= textsOf(this.row.values));
  }

  get lists(): RowLists {
    return (this.made ??= this.join());
  }

  /** Milliseconds from the times of the row to the moment. */
  ages(at: Micros): string {
    const { times } = this.row;
    if (this.oneTime) return sameAges.of(ageText(times[0] as Micros, at), times.length);
    const ages = new Array<string>(times.length);
    let [last, text] = [Number.NaN, 'null'];
    for (let i = 0; i < times.length; i++) {
      const time = times[i] as Micros;
      // Of the values of one entity most are as old as each other.
      if (!Object.is(time, last)) [last, text] = [time, ageText(time, at)];
      ages[i] = text;
    }
    return `[${ages.join(',')}]`;
  }

  // Joined and not added up: what is added up is put together only when it is written, for twice the work.
  private join(): RowLists {
    const { values, statuses, sources } = this.row;
    return {
      // Measured: two thirds of what joining takes, which makes a text of each number first.
      values: JSON.stringify(values),
      statuses: this.oneStatus ? sameStatuses.of(`"${statuses[0]}"`, statuses.length) : quoted(statuses),
      times: this.timesText(),
      sources: sourcesText(sources),
    };
  }

  private timesText(): string {
    const { times } = this.row;
    if (this.oneTime) return sameTimes.of(timeText(times[0] as Micros), times.length);
    const instants = new Array<string>(times.length);
    let [last, text] = [Number.NaN, 'null'];
    for (let i = 0; i < times.length; i++) {
      const time = times[i] as Micros;
      if (!Object.is(time, last)) [last, text] = [time, timeText(time)];
      instants[i] = text;
    }
    return `[${instants.join(',')}]`;
  }
}

/** A list of one text so many times: that of the last call is kept, for mostly the next one asks for the same. */
class Repeated {
  private text = '';
  private count = 0;
  private made = '';

  of(text: string, count: number): string {
    if (text === this.text && count === this.count) return this.made;
    this.text = text;
    this.count = count;
    return (this.made = `[${new Array<string>(count).fill(text).join(',')}]`);
  }
}

const sameStatuses = new Repeated();
const sameTimes = new Repeated();
const sameAges = new Repeated();
/** Rows of one selection share them, unless a default or the request stands in. */
let lastSources: { readonly of: readonly ValueSource[]; readonly text: string } = { of: [], text: '' };

function sourcesText(sources: readonly ValueSource[]): string {
  if (sources !== lastSources.of) lastSources = { of: sources, text: quoted(sources) };
  return lastSources.text;
}

function quoted(words: readonly string[]): string {
  return `["${words.join('","')}"]`;
}

function areSame(list: readonly (number | string)[]): boolean {
  for (let i = 1; i < list.length; i++) if (!Object.is(list[i], list[0])) return false;
  return true;
}

function textsOf(values: readonly FeatureValue[]): readonly string[] {
  const texts = new Array<string>(values.length);
  for (let i = 0; i < values.length; i++) texts[i] = String(jsonOf(values[i] ?? null));
  return texts;
}

function timeText(time: Micros): string {
  return Number.isNaN(time) ? 'null' : `"${instantText(time)}"`;
}

function ageText(time: Micros, at: Micros): string {
  return Number.isNaN(time) ? 'null' : String(Math.max(0, Math.round((at - time) / 1000)));
}
