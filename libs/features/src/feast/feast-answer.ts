import { TURNS, type Pace } from '@sibyl/kernel';
import type { ValueStatus } from '../feature-value';
import type { ReadAnswer } from '../serving/feature-reads';
import type { ServedRow } from '../serving/served-row';
import { instantText, type Micros } from '../time';
import type { Columns } from './feast-body';

/** What Feast calls how a value was come by, as JSON; it has no words for why one cannot be computed. */
const STATUSES: Readonly<Record<ValueStatus, string>> = {
  PRESENT: '"PRESENT"',
  DEFAULTED: '"PRESENT"',
  NULL: '"NULL_VALUE"',
  WARMING_UP: '"NULL_VALUE"',
  NOT_FOUND: '"NOT_FOUND"',
  STALE: '"OUTSIDE_MAX_AGE"',
  NON_FINITE: '"INVALID"',
  INVALID: '"INVALID"',
  TIMEOUT: '"INVALID"',
};
/** Columns of fewer rows are put together at once; others in slices. */
const ROWS_AT_ONCE = 100;
/** Of what has no time: keys, and values that no event is behind. */
const NO_TIME = '"1970-01-01T00:00:00Z"';

/** One column a key and feature over all entities, as Feast's server answers: JSON. `names` are those of the features. */
export async function feastAnswer(
  keys: Columns,
  names: readonly string[],
  { rows }: ReadAnswer,
  pace: Pace = TURNS,
): Promise<string> {
  const known = repeated('"PRESENT"', rows.length);
  const timeless = repeated(NO_TIME, rows.length);
  // Pieces that are joined once: what is added up is put together only when it is written, for twice the work.
  const pieces: string[] = [];
  for (const values of Object.values(keys)) addVector(pieces, JSON.stringify(values).slice(1, -1), known, timeless);
  const columns = new FeatureColumns(rows);
  for (const member of names.keys()) {
    if (rows.length > ROWS_AT_ONCE && pace.due) await pace.next();
    addVector(pieces, columns.values(member), columns.statuses(member), columns.times(member));
  }
  const called = JSON.stringify([...Object.keys(keys), ...names]);
  pieces.push(`]}],"metadata":{"feature_names":${called}}}`);
  return pieces.join('');
}

function addVector(pieces: string[], values: string, statuses: string, times: string): void {
  pieces.push(pieces.length === 0 ? '{"results":[{"values":[' : ']},{"values":[', values);
  pieces.push('],"statuses":[', statuses, '],"event_timestamps":[', times);
}

/** Rows by columns. Features of one entity are mostly as old as each other, and come by alike: then that is written once. */
class FeatureColumns {
  private readonly texts: readonly (readonly string[])[];
  private readonly uniform: boolean;
  private knownStatuses: string | undefined;
  private knownTimes: string | undefined;

  constructor(private readonly rows: readonly ServedRow[]) {
    this.texts = rows.map(({ texts }) => texts.values);
    this.uniform = rows.every(({ texts }) => texts.uniform);
  }

  values(member: number): string {
    const { texts } = this;
    const values = new Array<string>(texts.length);
    for (let i = 0; i < texts.length; i++) values[i] = (texts[i] as readonly string[])[member] as string;
    return values.join(',');
  }

  statuses(member: number): string {
    if (!this.uniform) this.knownStatuses = undefined;
    return (this.knownStatuses ??= this.rows
      .map(({ statuses }) => STATUSES[statuses[member] as ValueStatus])
      .join(','));
  }

  times(member: number): string {
    if (!this.uniform) this.knownTimes = undefined;
    return (this.knownTimes ??= this.timesOf(member));
  }

  private timesOf(member: number): string {
    let [last, text] = [Number.NaN, NO_TIME];
    const textOf = (time: Micros): string => {
      if (!Object.is(time, last)) [last, text] = [time, Number.isNaN(time) ? NO_TIME : `"${instantText(time)}"`];
      return text;
    };
    return this.rows.map(({ times }) => textOf(times[member] as Micros)).join(',');
  }
}

function repeated(text: string, times: number): string {
  return `${`${text},`.repeat(times - 1)}${text}`;
}
