import { DomainError, type FieldFault } from '@sibyl/kernel';
import type { EntityManager } from 'typeorm';
import type { FeatureView, FieldDefinition, StreamDefinition } from '../definitions/feature-view';
import { classHolds, retentionClassOf, RETENTION_CLASSES } from '../log/retention-class';
import type { Ask } from './definition-rows';

/** A stream as the log has it. */
export interface StreamRow {
  readonly id: number;
  readonly name: string;
  readonly view: string;
  readonly identity: string;
  readonly retention_class: number;
  readonly retention: string;
  readonly fields: readonly FieldDefinition[];
}

export function allStreams(ask: Ask): Promise<StreamRow[]> {
  return ask<StreamRow>('SELECT id, name, view, identity, retention_class, retention, fields FROM features.stream', []);
}

/**
 * Makes the streams of a view, or changes what may change of them. Their events stay where they are and as they are: so fields
 * are only ever added at the end, and what would give old events another meaning is refused. Throws invalid_definition.
 */
export async function keepStreams(tx: EntityManager, view: FeatureView, at: string): Promise<void> {
  for (const [i, stream] of view.streams.entries()) {
    if (stream.of !== undefined) continue;
    const [known] = await tx.query<StreamRow[]>('SELECT * FROM features.stream WHERE name = $1', [stream.name]);
    if (known) await changeStream(tx, view, stream, known, `/streams/${i}`);
    else await makeStream(tx, view, stream, at);
  }
}

async function makeStream(tx: EntityManager, view: FeatureView, stream: StreamDefinition, at: string): Promise<void> {
  const { name, identity, retention, fields } = stream;
  await tx.query(
    `INSERT INTO features.stream (name, view, identity, retention_class, retention, fields, made_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7)`,
    [name, view.name, identity, retentionClassOf(retention), retention, JSON.stringify(fields), at],
  );
}

async function changeStream(
  tx: EntityManager,
  view: FeatureView,
  stream: StreamDefinition,
  known: StreamRow,
  pointer: string,
): Promise<void> {
  const faults = (await hasEvents(tx, known.id)) ? faultsOf(stream, known, pointer) : [];
  if (known.view !== view.name && !(await isFree(tx, known.view)))
    faults.push({
      pointer: `${pointer}/name`,
      expected: 'a name that no other view has',
      received: `a stream of view '${known.view}'`,
    });
  if (!classHolds(known.retention_class, stream.retention)) {
    const { upTo = 0 } = RETENTION_CLASSES[known.retention_class] ?? {};
    const days = Math.floor(upTo / 86_400_000_000);
    faults.push({
      pointer: `${pointer}/retention`,
      expected: `at most ${days}d, as the log of this stream is cut; a stream of another name may keep more`,
    });
  }
  if (faults.length > 0)
    throw new DomainError('invalid_definition', `The stream '${stream.name}' cannot become what the view says.`, {
      faults,
    });
  await tx.query('UPDATE features.stream SET view = $2, identity = $3, retention = $4, fields = $5 WHERE id = $1', [
    known.id,
    view.name,
    stream.identity,
    stream.retention,
    JSON.stringify(stream.fields),
  ]);
}

function faultsOf(stream: StreamDefinition, known: StreamRow, pointer: string): FieldFault[] {
  const faults: FieldFault[] = [];
  if (stream.identity !== known.identity)
    faults.push({ pointer: `${pointer}/identity`, expected: `${known.identity}, as its events were taken` });
  known.fields.forEach(({ name, type }, i) => {
    const field = stream.fields[i];
    if (field?.name !== name || field.type !== type)
      faults.push({
        pointer: `${pointer}/fields/${i}`,
        expected: `${name} of type ${type}: fields keep their order and type, new ones come after them`,
        received: field === undefined ? 'nothing' : `${field.name} of type ${field.type}`,
      });
  });
  return faults;
}

async function hasEvents(tx: EntityManager, stream: number): Promise<boolean> {
  const rows = await tx.query<unknown[]>('SELECT 1 FROM features.latest WHERE stream = $1 LIMIT 1', [stream]);
  return rows.length > 0;
}

/** Whether no view of this name is published any more: its streams are then anybody's. */
async function isFree(tx: EntityManager, view: string): Promise<boolean> {
  const rows = await tx.query<{ hash: string | null }[]>(
    `SELECT hash FROM features.publication WHERE kind = 'view' AND name = $1 ORDER BY revision DESC LIMIT 1`,
    [view],
  );
  return rows[0]?.hash === null;
}
