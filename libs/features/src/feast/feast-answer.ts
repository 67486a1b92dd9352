import type { FeatureValue, ValueStatus } from '../feature-value';
import type { ReadAnswer } from '../serving/feature-reads';
import { instantText, type Micros } from '../time';
import type { Columns } from './feast-body';

interface FeatureVector {
  readonly values: readonly unknown[];
  readonly statuses: readonly string[];
  readonly event_timestamps: readonly string[];
}

export interface FeastAnswer {
  readonly results: readonly FeatureVector[];
  readonly metadata: { readonly feature_names: readonly string[] };
}

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
const NO_TIME = '1970-01-01T00:00:00Z';

/** One column a key and feature over all entities, as Feast's server answers; `names` are those of the features. */
export function feastAnswer(keys: Columns, names: readonly string[], { rows }: ReadAnswer): FeastAnswer {
  const textOf = instants();
  const keyVectors = Object.values(keys).map((values) => ({
    values,
    statuses: values.map(() => 'PRESENT'),
    event_timestamps: values.map(() => NO_TIME),
  }));
  const vectors = names.map((_, member) => ({
    values: rows.map(({ values }): FeatureValue => values[member] ?? null),
    statuses: rows.map(({ statuses }) => STATUSES[statuses[member] as ValueStatus]),
    event_timestamps: rows.map(({ times }) => textOf(times[member] as Micros)),
  }));
  return { results: [...keyVectors, ...vectors], metadata: { feature_names: [...Object.keys(keys), ...names] } };
}

/** Features of one entity are mostly as old as each other, and entities as each other. */
function instants(): (time: Micros) => string {
  let last = Number.NaN;
  let text = NO_TIME;
  return (time) => {
    if (Number.isNaN(time)) return NO_TIME;
    if (time !== last) [last, text] = [time, instantText(time)];
    return text;
  };
}
