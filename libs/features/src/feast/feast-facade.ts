import { DomainError, nearestWords, type Actor, type FieldFault, type Pace } from '@sibyl/kernel';
import type { FeatureLog } from '../log/feature-log';
import type { PushedEvent } from '../log/pushed-event';
import type { StreamCatalog } from '../log/stream-catalog';
import { pointerTo } from '../definitions/definition-faults';
import type { Place } from '../request-fault';
import { LISTS, type AskedRow, type RequestPlaces } from '../serving/entity-rows';
import type { FeatureReads, ReadAnswer } from '../serving/feature-reads';
import type { Selection } from '../serving/selection';
import { feastAnswer } from './feast-answer';
import { readFeastOnline, readFeastPush, refused, type Columns, type FeastPush } from './feast-body';

const FAULTS = 64;
/** Columns of a push that are not fields: Feast's names of the two times of a row. The second one is ours to say. */
const EVENT_TIME = 'event_timestamp';
const CREATED = 'created';
/** What pandas writes of a time without a zone: Feast takes it for UTC. */
const NAIVE = /^(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}:\d{2}(?:\.\d{1,6})?)\d*$/;

/** Rows stand in columns, what a request knows itself among them. */
const column = (row: number): Place => {
  return (name) => (name === undefined ? '/entities' : `${pointerTo('/entities', name)}/${row}`);
};
const COLUMNS: RequestPlaces = { ...LISTS, entity: column, given: column };

interface FeastCourse {
  readonly pace?: Pace | undefined;
  /** Hears what was read before it is put into Feast's words. */
  readonly onAnswer?: (answer: ReadAnswer) => void;
}

/** Hears what is pushed where, and what became of it, before rows that were not stored are an error. */
interface FeastPushCourse {
  readonly onStream?: (stream: string) => void;
  readonly onResults?: (results: readonly PushedEvent[]) => void;
}

/** Feature views, sets and streams for clients of Feast, who call them views, services and push sources. */
export class FeastFacade {
  constructor(
    private readonly reads: FeatureReads,
    private readonly log: FeatureLog,
    private readonly streams: StreamCatalog,
  ) {}

  /** The answer, as JSON. */
  async online(body: unknown, { pace, onAnswer }: FeastCourse = {}): Promise<string> {
    const { entities, features, set, fullNames, rows } = readFeastOnline(body);
    const selection = await this.reads.select(set === undefined ? { features: features ?? [] } : { set });
    const names = namesOf(selection, fullNames);
    const keys = keysOf(selection, entities);
    const given = Object.keys(entities).filter((name) => !Object.hasOwn(keys, name));
    const own = Object.keys(keys);
    const asked: AskedRow[] = [];
    for (let i = 0; i < rows; i++) {
      // What a request knows itself stands among the entities.
      const more = given.length === 0 ? undefined : rowOf(entities, given, i);
      asked.push({ entity: rowOf(keys, own, i), given: more });
    }
    const answer = await this.reads.readSelected(selection, { rows: asked, places: COLUMNS, pace });
    onAnswer?.(answer);
    return feastAnswer(keys, names, answer, pace);
  }

  /** Stores the rows as events. Feast's answer has no room for single rows: where one was not stored it is an error. */
  async push(
    actor: Actor,
    body: unknown,
    { onStream, onResults }: FeastPushCourse = {},
  ): Promise<readonly PushedEvent[]> {
    const push = readFeastPush(body);
    onStream?.(push.stream);
    const results = await this.log.push(actor, push.stream, this.eventsOf(push), '/df');
    onResults?.(results);
    const lost = results.flatMap((one, i): FieldFault[] => {
      if (one.status !== 'INVALID' && one.status !== 'CONFLICT') return [];
      const { pointer = '', ...fault } = one.fault ?? { expected: one.reason ?? 'another event' };
      return [{ ...fault, pointer: `/df/${i}${pointer}` }];
    });
    if (lost.length === 0) return results;
    const detail = `${lost.length} of ${results.length} rows cannot be stored; the others are.`;
    throw new DomainError('event_invalid', detail, { faults: lost.slice(0, FAULTS) });
  }

  private eventsOf({ stream: name, df, rows }: FeastPush): object[] {
    const stream = this.streams.stream(name);
    if (!stream) {
      const near = nearestWords(name, [...this.streams.streamNames()])[0];
      const hint = near === undefined ? '' : ` Did you mean '${near}'?`;
      throw new DomainError('stream_not_found', `There is no push source '${name.slice(0, 64)}'.${hint}`);
    }
    const key = stream.entity.name;
    const [keys, times] = [df[key], df[EVENT_TIME]];
    if (!keys) throw refused(`/df/${key}`, 'a column with the keys of the entities', keys);
    if (!times) throw refused(`/df/${EVENT_TIME}`, 'a column with the times of the events', times);
    const fields = Object.keys(df).filter((one) => one !== key && one !== EVENT_TIME && one !== CREATED);
    return Array.from({ length: rows }, (_, i) => ({
      entity: keys[i],
      event_time: zoned(times[i]),
      values: rowOf(df, fields, i),
    }));
  }
}

function rowOf(columns: Columns, names: readonly string[], i: number): Record<string, unknown> {
  const [only = ''] = names;
  if (names.length === 1) return { [only]: columns[only]?.[i] };
  return Object.fromEntries(names.map((name) => [name, columns[name]?.[i]]));
}

/** The columns that are keys of what is asked for, in the order in which they came. */
function keysOf({ views }: Selection, entities: Columns): Columns {
  const names = new Set(views.map(({ view }) => view.entity.name));
  for (const name of names)
    if (!Object.hasOwn(entities, name))
      throw refused(`/entities/${name}`, 'a column with the keys of the entities', undefined);
  return Object.fromEntries(Object.entries(entities).filter(([name]) => names.has(name)));
}

/** `rsi`, or in full `btc_technical__rsi`. */
function namesOf({ set, members, views }: Selection, full: boolean): readonly string[] {
  const names = members.map(({ name, feature, view }) => {
    const called = set ? name : feature;
    return full ? `${views[view]?.view.name}__${called}` : called;
  });
  const twice = names.find((name, i) => names.indexOf(name) < i);
  if (twice === undefined) return names;
  throw refused('/full_feature_names', `true, and no feature twice: more than one is called '${twice}'`, full);
}

function zoned(time: unknown): unknown {
  return typeof time === 'string' ? time.replace(NAIVE, '$1T$2Z') : time;
}
