import { jsonOf, type ValueStatus } from '../feature-value';
import type { ReadAnswer } from '../serving/feature-reads';
import type { ServedRow } from '../serving/served-row';
import { instantText, type Micros } from '../time';
import type { Columns } from './feast-body';

/** What Feast calls how a value was come by; it has no words for why one cannot be computed. */
const STATUSES: Readonly<Record<ValueStatus, string>> = {
  PRESENT: 'PRESENT',
  DEFAULTED: 'PRESENT',
  NULL: 'NULL_VALUE',
  WARMING_UP: 'NULL_VALUE',
  NOT_FOUND: 'NOT_FOUND',
  STALE: 'OUTSIDE_MAX_AGE',
  NON_FINITE: 'INVALID',
  INVALID: 'INVALID',
  TIMEOUT: 'INVALID',
};
/** Of what has no time: keys, and values that no event is behind. */
const NO_TIME = '"1970-01-01T00:00:00Z"';

/** One column a key and feature over all entities, as Feast's server answers: JSON. `names` are those of the features. */
export function feastAnswer(keys: Columns, names: readonly string[], { rows }: ReadAnswer): string {
  const same = (text: string): string => `${`${text},`.repeat(rows.length - 1)}${text}`;
  const keyVectors = Object.values(keys).map(
    (values) =>
      `{"values":${JSON.stringify(values)},"statuses":[${same('"PRESENT"')}],"event_timestamps":[${same(NO_TIME)}]}`,
  );
  const textOf = instants();
  const vectors = names.map((_, member) => vectorText(rows, member, textOf));
  const called = JSON.stringify([...Object.keys(keys), ...names]);
  return `{"results":[${[...keyVectors, ...vectors].join(',')}],"metadata":{"feature_names":${called}}}`;
}

function vectorText(rows: readonly ServedRow[], member: number, textOf: (time: Micros) => string): string {
  let [texts, states, times] = ['', '', ''];
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i] as ServedRow;
    const comma = i === 0 ? '' : ',';
    texts += comma + jsonOf(row.values[member] ?? null);
    states += `${comma}"${STATUSES[row.statuses[member] as ValueStatus]}"`;
    times += comma + textOf(row.times[member] as Micros);
  }
  return `{"values":[${texts}],"statuses":[${states}],"event_timestamps":[${times}]}`;
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
