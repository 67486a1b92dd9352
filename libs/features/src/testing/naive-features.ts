import type { StreamDefinition, StreamIdentity } from '../definitions/feature-view';
import type { FeatureValue } from '../feature-value';
import type { FeatureEvent } from '../log/feature-event';
import { MICROS_PER_SECOND, type Micros } from '../time';
import { streamOf, type TestFeature } from './test-plans';

const SECOND = MICROS_PER_SECOND;
const WINDOW = 20 * SECOND;
const LONG = 60 * SECOND;
const TILE = 7 * SECOND;

/** What `definition` (feature-service, "the events that count") says, word by word, in quadratic time and with nothing of the engine. */
export function eventsThatCount(
  events: readonly FeatureEvent[],
  identity: StreamIdentity,
  { at, knownAt, corrected }: { readonly at: Micros; readonly knownAt: Micros; readonly corrected: boolean },
): FeatureEvent[] {
  const known = events.filter(
    (event, i) =>
      event.eventTime <= at &&
      event.ingestedAt <= knownAt &&
      (corrected || !event.logOnly) &&
      events.findIndex(({ eventId }) => eventId === event.eventId) === i,
  );
  const counting = known.filter(
    (event) =>
      identity === 'event_id' || !known.some((other) => other.eventTime === event.eventTime && isNewer(other, event)),
  );
  return counting.sort((a, b) => a.eventTime - b.eventTime || (isNewer(a, b) ? 1 : -1));
}

function isNewer(a: FeatureEvent, b: FeatureEvent): boolean {
  return a.ingestedAt > b.ingestedAt || (a.ingestedAt === b.ingestedAt && a.eventId > b.eventId);
}

/** A value, or the name of a status without one. */
export type Naive = { readonly value: FeatureValue } | { readonly status: string };

interface NaiveFeature {
  readonly feature: TestFeature;
  readonly naive: (events: readonly FeatureEvent[], at: Micros) => Naive;
}

export function ticks(identity: StreamIdentity): StreamDefinition {
  return streamOf('ticks', identity, { x: 'double', kind: 'string', ok: 'bool' }, { allowedLateness: 15 * SECOND });
}

const x = (event: FeatureEvent): number | null => event.values[0] as number | null;
const numbers = (events: readonly FeatureEvent[]): number[] => events.map(x).filter((value) => value !== null);
const within = (events: readonly FeatureEvent[], at: Micros): FeatureEvent[] =>
  events.filter(({ eventTime }) => eventTime > at - WINDOW && eventTime <= at);
const tiled = (events: readonly FeatureEvent[], at: Micros): FeatureEvent[] =>
  events.filter(({ eventTime }) => eventTime >= Math.floor((at - LONG) / TILE) * TILE && eventTime <= at);
const total = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0);
const orNull = (value: FeatureValue): Naive => (value === null ? { status: 'NULL' } : { value });
const average = (values: readonly number[]): Naive =>
  orNull(values.length === 0 ? null : total(values) / values.length);
const lasting = (need: number, events: readonly FeatureEvent[], of: (last: readonly FeatureEvent[]) => Naive): Naive =>
  events.length < need ? { status: 'WARMING_UP' } : of(events.slice(-need));

const onTicks = { stream: 'ticks', inputs: ['x'] };

/** Operators with memory of a few events and of a few seconds, so that short histories have all their cases. */
export const SHORT_FEATURES: readonly NaiveFeature[] = [
  { feature: { ...onTicks, name: 'price', op: 'last' }, naive: (v) => orNull(x(v.at(-1) as FeatureEvent)) },
  {
    feature: { ...onTicks, name: 'kind', op: 'last', inputs: ['kind'], ttl: 12 * SECOND },
    naive: (v, at) =>
      at - (v.at(-1) as FeatureEvent).eventTime > 12 * SECOND
        ? { status: 'STALE' }
        : orNull(v.at(-1)?.values[1] as FeatureValue),
  },
  {
    feature: { ...onTicks, name: 'before', op: 'lag', params: { n: 2 } },
    naive: (v) => lasting(3, v, (last) => orNull(x(last[0] as FeatureEvent))),
  },
  {
    feature: { ...onTicks, name: 'list', op: 'last_n', params: { n: 3 } },
    naive: (v) => lasting(3, v, (last) => ({ value: last.map(x) })),
  },
  {
    feature: { ...onTicks, name: 'mean4', op: 'mean', window: { events: 4 } },
    naive: (v) => lasting(4, v, (last) => average(numbers(last))),
  },
  {
    feature: { ...onTicks, name: 'std5', op: 'std', window: { events: 5 } },
    naive: (v) =>
      lasting(5, v, (last) => {
        const values = numbers(last);
        const middle = total(values) / values.length;
        return orNull(
          values.length === 0 ? null : Math.sqrt(total(values.map((value) => (value - middle) ** 2)) / values.length),
        );
      }),
  },
  {
    feature: { ...onTicks, name: 'n', op: 'count', inputs: [], window: { span: WINDOW }, where: 'ok' },
    naive: (v, at) => ({ value: within(v, at).filter(({ values }) => values[2] === true).length }),
  },
  {
    feature: { ...onTicks, name: 'sum', op: 'sum', window: { span: WINDOW } },
    naive: (v, at) => ({ value: total(numbers(within(v, at))) }),
  },
  {
    feature: { ...onTicks, name: 'max', op: 'max', window: { span: WINDOW } },
    naive: (v, at) =>
      orNull(numbers(within(v, at)).reduce<number | null>((a, b) => (a === null || b > a ? b : a), null)),
  },
  {
    feature: { ...onTicks, name: 'kinds', op: 'distinct_count', inputs: ['kind'], window: { span: WINDOW } },
    naive: (v, at) => ({
      value: new Set(
        within(v, at)
          .map(({ values }) => values[1])
          .filter((kind) => kind !== null),
      ).size,
    }),
  },
  {
    feature: { ...onTicks, name: 'since', op: 'time_since_last', inputs: [] },
    naive: (v, at) => ({ value: (at - (v.at(-1) as FeatureEvent).eventTime) / SECOND }),
  },
  {
    feature: { ...onTicks, name: 'long_sum', op: 'sum', window: { span: LONG }, tile: TILE, where: 'kind != "c"' },
    naive: (v, at) => ({
      value: total(numbers(tiled(v, at).filter(({ values }) => values[1] !== null && values[1] !== 'c'))),
    }),
  },
  {
    feature: { ...onTicks, name: 'long_mean', op: 'mean', window: { span: LONG }, tile: TILE },
    naive: (v, at) => average(numbers(tiled(v, at))),
  },
];

/** Operators that look far back. */
export const LONG_FEATURES: readonly NaiveFeature[] = [
  {
    feature: { ...onTicks, name: 'ema', op: 'ema', params: { period: 3 } },
    naive: (v) => {
      const values = numbers(v.slice(-74));
      if (values.length < 3) return { status: 'WARMING_UP' };
      return { value: values.slice(3).reduce((e, value) => e + (value - e) / 2, total(values.slice(0, 3)) / 3) };
    },
  },
];
