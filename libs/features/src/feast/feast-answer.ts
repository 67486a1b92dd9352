import { TURNS, type Pace } from '@sibyl/kernel';
import { jsonOf, type ValueStatus } from '../feature-value';
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
  const known = new Array<string>(rows.length).fill('"PRESENT"');
  const timeless = new Array<string>(rows.length).fill(NO_TIME);
  const keyVectors = Object.values(keys).map((values) =>
    vectorText(JSON.stringify(values).slice(1, -1), known, timeless),
  );
  const textOf = instants();
  const vectors: string[] = [];
  for (const member of names.keys()) {
    if (rows.length > ROWS_AT_ONCE && pace.due) await pace.next();
    vectors.push(memberText(rows, member, textOf));
  }
  const called = JSON.stringify([...Object.keys(keys), ...names]);
  return `{"results":[${[...keyVectors, ...vectors].join(',')}],"metadata":{"feature_names":${called}}}`;
}

// Joined and not added up: what is added up is put together only when it is written, for twice the work.
function memberText(rows: readonly ServedRow[], member: number, textOf: (time: Micros) => string): string {
  const texts = new Array<string | number>(rows.length);
  const statuses = new Array<string>(rows.length);
  const times = new Array<string>(rows.length);
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i] as ServedRow;
    texts[i] = jsonOf(row.values[member] ?? null);
    statuses[i] = STATUSES[row.statuses[member] as ValueStatus];
    times[i] = textOf(row.times[member] as Micros);
  }
  return vectorText(texts.join(','), statuses, times);
}

function vectorText(values: string, statuses: readonly string[], times: readonly string[]): string {
  return `{"values":[${values}],"statuses":[${statuses.join(',')}],"event_timestamps":[${times.join(',')}]}`;
}

/** Features of one entity are mostly as old as each other, and entities as each other. */
function instants(): (time: Micros) => string {
  let last = Number.NaN;
  let text = NO_TIME;
  return (time) => {
    if (Number.isNaN(time)) return NO_TIME;
    if (time !== last) [last, text] = [time, `"${instantText(time)}"`];
    return text;
  };
}
