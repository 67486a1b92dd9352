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
  const keyVectors = Object.values(keys).map((values) =>
    vectorText(JSON.stringify(values).slice(1, -1), known, timeless),
  );
  const columns = new FeatureColumns(rows);
  const vectors: string[] = [];
  for (const member of names.keys()) {
    if (rows.length > ROWS_AT_ONCE && pace.due) await pace.next();
    vectors.push(columns.text(member));
  }
  const called = JSON.stringify([...Object.keys(keys), ...names]);
  return `{"results":[${[...keyVectors, ...vectors].join(',')}],"metadata":{"feature_names":${called}}}`;
}

/** Puts rows together by columns. Features of one entity are mostly as old as each other, and come by alike: that is written once. */
class FeatureColumns {
  private statuses = '';
  private times = '';
  private readonly rowTexts: readonly (readonly string[])[];

  constructor(private readonly rows: readonly ServedRow[]) {
    this.rowTexts = rows.map(({ texts }) => texts.values);
  }

  // Joined and not added up: what is added up is put together only when it is written, for twice the work.
  text(member: number): string {
    const { rows, rowTexts } = this;
    const values = new Array<string>(rows.length);
    let [sameStatuses, sameTimes] = [member > 0, member > 0];
    for (let i = 0; i < rows.length; i++) {
      const { statuses, times } = rows[i] as ServedRow;
      values[i] = (rowTexts[i] as readonly string[])[member] as string;
      sameStatuses &&= statuses[member] === statuses[member - 1];
      sameTimes &&= Object.is(times[member], times[member - 1]);
    }
    if (!sameStatuses) this.statuses = this.statusesOf(member);
    if (!sameTimes) this.times = this.timesOf(member);
    return vectorText(values.join(','), this.statuses, this.times);
  }

  private statusesOf(member: number): string {
    return this.rows.map(({ statuses }) => STATUSES[statuses[member] as ValueStatus]).join(',');
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

function vectorText(values: string, statuses: string, times: string): string {
  return `{"values":[${values}],"statuses":[${statuses}],"event_timestamps":[${times}]}`;
}

function repeated(text: string, times: number): string {
  return `${`${text},`.repeat(times - 1)}${text}`;
}
