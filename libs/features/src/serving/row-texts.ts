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

/** Lists of one row as JSON, without their brackets; they do not change with the moment. */
export interface RowLists {
  readonly values: string;
  readonly statuses: string;
  readonly times: string;
  readonly sources: string;
}

/** What a row is in an answer: made once, and kept with it. */
export class RowTexts {
  /** Each value as JSON. */
  readonly values: readonly string[];
  /** All values were come by alike, and are of one time. */
  readonly uniform: boolean;
  private made: RowLists | undefined;

  constructor(private readonly row: RowValues) {
    const { values } = row;
    const texts = new Array<string>(values.length);
    for (let i = 0; i < values.length; i++) texts[i] = String(jsonOf(values[i] ?? null));
    this.values = texts;
    this.uniform = isUniform(row);
  }

  get lists(): RowLists {
    return (this.made ??= this.join());
  }

  /** Milliseconds from the times of the row to the moment. */
  ages(at: Micros): string {
    const { times } = this.row;
    const ages = new Array<string>(times.length);
    let [last, text] = [Number.NaN, 'null'];
    for (let i = 0; i < times.length; i++) {
      const time = times[i] as Micros;
      // Of the values of one entity most are as old as each other.
      if (!Object.is(time, last)) [last, text] = [time, ageText(time, at)];
      ages[i] = text;
    }
    return ages.join(',');
  }

  // Joined and not added up: what is added up is put together only when it is written, for twice the work.
  private join(): RowLists {
    const { statuses, times, sources } = this.row;
    const instants = new Array<string>(times.length);
    let [last, text] = [Number.NaN, 'null'];
    for (let i = 0; i < times.length; i++) {
      const time = times[i] as Micros;
      if (!Object.is(time, last)) [last, text] = [time, Number.isNaN(time) ? 'null' : `"${instantText(time)}"`];
      instants[i] = text;
    }
    return {
      values: this.values.join(','),
      statuses: `"${statuses.join('","')}"`,
      times: instants.join(','),
      sources: `"${sources.join('","')}"`,
    };
  }
}

function isUniform({ statuses, times }: RowValues): boolean {
  for (let i = 1; i < times.length; i++)
    if (statuses[i] !== statuses[0] || !Object.is(times[i], times[0])) return false;
  return true;
}

function ageText(time: Micros, at: Micros): string {
  return Number.isNaN(time) ? 'null' : String(Math.max(0, Math.round((at - time) / 1000)));
}
