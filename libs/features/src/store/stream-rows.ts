import { DomainError, invariant } from '@sibyl/kernel';
import type { EntityManager } from 'typeorm';
import type { FeatureDefinition, FeatureView, StreamDefinition } from '../definitions/feature-view';
import { formatDuration } from '../definitions/duration';
import { classHolds, retentionClassOf, RETENTION_CLASSES } from '../log/retention-class';
import type { KnownStreams } from '../definitions/definition-parts';
import { MICROS_PER_MS, type Micros } from '../time';
import { asking, currentDefinitions, entitiesOfViews, type Ask } from './definition-rows';

/** A stream as the log has it. */
export interface StreamRow {
  readonly id: number;
  readonly name: string;
  readonly view: string;
  readonly retention_class: number;
  readonly definition: StreamDefinition;
}

/** A stream that keeps its events for a shorter time from now on. */
export interface LoweredRetention {
  readonly pointer: string;
  readonly stream: string;
  readonly from: Micros;
  readonly to: Micros;
  /** The view reads nothing from before it any more. Others do with the retention that they know, until its cuts of the log are dropped. */
  readonly goneBefore: Micros;
  /** Other views that are current and have longer windows by time on the stream. */
  readonly affects: readonly string[];
}

/** Their numbers have two bytes in each event. */
const STREAMS_MAX = 32_767;

export function allStreams(ask: Ask): Promise<StreamRow[]> {
  return ask<StreamRow>('SELECT id, name, view, retention_class, definition FROM features.stream', []);
}

/** Gives up a stream of which no event is stored; false where one is. */
export async function freeStream(tx: EntityManager, { id }: StreamRow): Promise<boolean> {
  const [row] = await tx.query<{ freed: boolean }[]>('SELECT features.free_stream($1) AS freed', [id]);
  return row?.freed === true;
}

/** Streams by name, and whose they are, for definitions that are read. */
export async function knownStreams(ask: Ask, rows: readonly StreamRow[]): Promise<KnownStreams> {
  const entities = await entitiesOfViews(ask);
  const byName = new Map(rows.map((row) => [row.name, { ...row, entity: entities.get(row.view) }]));
  return { stream: (name) => byName.get(name) };
}

/**
 * Makes the streams of a view, or keeps what its new version says of them, and answers which of them lose events by it; that
 * their events still fit was checked when it was read. Throws invalid_definition for what their log cannot hold.
 */
export async function keepStreams(
  tx: EntityManager,
  view: FeatureView,
  at: string,
): Promise<readonly LoweredRetention[]> {
  const known = new Map((await allStreams(asking(tx))).map((row) => [row.name, row]));
  const lowered: LoweredRetention[] = [];
  for (const [i, stream] of view.streams.entries()) {
    if (stream.of !== undefined) continue;
    const { name, retention: to } = stream;
    const row = known.get(name);
    if (row && (await changeStream(tx, stream, row, `/streams/${i}`))) {
      const { retention: from } = row.definition;
      const goneBefore = Date.parse(at) * MICROS_PER_MS - to;
      if (to >= from) continue;
      const affects = await longerWindows(tx, stream);
      lowered.push({ pointer: `/streams/${i}/retention`, stream: name, from, to, goneBefore, affects });
    } else await makeStream(tx, view, stream, at);
  }
  return lowered;
}

/** Views with windows by time that are longer than the stream is kept. */
async function longerWindows(tx: EntityManager, { name, retention }: StreamDefinition): Promise<readonly string[]> {
  const current = await currentDefinitions(asking(tx));
  const views = current.flatMap(({ resolved }) => ('members' in resolved ? [] : [resolved]));
  const reads = (feature: FeatureDefinition): boolean =>
    feature.kind === 'operator' &&
    feature.stream === name &&
    feature.window !== undefined &&
    'span' in feature.window &&
    feature.window.span > retention;
  return views.filter(({ features }) => features.some(reads)).map((view) => view.name);
}

/** What an event says of it. */
export function retentionChange(lowered: readonly LoweredRetention[]): Readonly<Record<string, unknown>> {
  if (lowered.length === 0) return {};
  const streams = lowered.map(({ stream, from, to }) => ({
    stream,
    from: formatDuration(from),
    to: formatDuration(to),
  }));
  return { retention_lowered: streams };
}

async function makeStream(tx: EntityManager, view: FeatureView, stream: StreamDefinition, at: string): Promise<void> {
  const { name, retention } = stream;
  const [number] = await asking(tx)<{ last: number }>(
    'WITH next AS (UPDATE features.stream_number SET last = last + 1 RETURNING last) SELECT last FROM next',
    [],
  );
  invariant(number, 'streams are counted');
  const { last: id } = number;
  if (id > STREAMS_MAX)
    throw new DomainError('invalid_definition', `The log has had ${STREAMS_MAX} streams; it has no room for another.`);
  await tx.query(
    `INSERT INTO features.stream (id, name, view, retention_class, retention, definition, made_at)
     OVERRIDING SYSTEM VALUE VALUES ($1, $2, $3, $4, $5, $6, $7)`,
    [id, name, view.name, retentionClassOf(retention), retention, JSON.stringify(stream), at],
  );
}

/** False where it has to be made anew, as there is no event of it. */
async function changeStream(
  tx: EntityManager,
  stream: StreamDefinition,
  row: StreamRow,
  pointer: string,
): Promise<boolean> {
  const { id, retention_class: retentionClass } = row;
  if (!classHolds(retentionClass, stream.retention)) {
    if (await freeStream(tx, row)) return false;
    throw tooLong(stream, retentionClass, pointer);
  }
  await tx.query('UPDATE features.stream SET retention = $2, definition = $3 WHERE id = $1', [
    id,
    stream.retention,
    JSON.stringify(stream),
  ]);
  return true;
}

function tooLong({ name }: StreamDefinition, retentionClass: number, pointer: string): DomainError {
  const { cut, upTo = 0 } = RETENTION_CLASSES[retentionClass] ?? {};
  const expected = `at most ${Math.floor(upTo / 86_400_000_000)}d`;
  const hint = `the log of this stream is cut by the ${cut}; a stream of another name may keep its events longer`;
  return new DomainError('invalid_definition', `The stream '${name}' cannot keep its events so long.`, {
    faults: [{ pointer: `${pointer}/retention`, expected, hint }],
  });
}
