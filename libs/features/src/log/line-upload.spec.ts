import type { FieldFault } from '@sibyl/kernel';
import { streamDefinition } from '../testing/stream-definition';
import { LineUpload } from './line-upload';
import { bytesOf, isFault, type PendingEvent } from './pending-event';
import type { PushedEvent } from './pushed-event';
import type { LoggedStream } from './stream-catalog';

const MiB = 1_048_576;
const NOW = Date.UTC(2026, 0, 2);

const streamOf = (fields: number): LoggedStream => ({
  id: 1,
  retentionClass: 0,
  definition: streamDefinition({
    name: 'notes',
    fields: Array.from({ length: fields }, (_, i) => ({ name: `f${i}`, type: 'string' as const, nullable: false })),
  }),
  entity: { name: 'symbol', type: 'string', maxLength: 64 },
});

async function* bodyOf(lines: number, { definition }: LoggedStream, text: string): AsyncGenerator<Buffer> {
  const values = Object.fromEntries(definition.fields.map(({ name }) => [name, text]));
  for (let n = 0; n < lines; n++) {
    const line = JSON.stringify({ entity: `e${n}`, event_time: NOW - 60_000 + n, values });
    yield await Promise.resolve(Buffer.from(`${line}\n`));
  }
}

/** Runs an upload, and tells of each batch how many events and bytes it had. */
async function batchesOf(lines: number, stream: LoggedStream, text: string) {
  const batches: { events: number; bytes: number }[] = [];
  const store = (given: readonly (PendingEvent | FieldFault)[]): Promise<readonly PushedEvent[]> => {
    const bytes = given.reduce((sum, one) => sum + (isFault(one) ? 0 : bytesOf(one)), 0);
    batches.push({ events: given.length, bytes });
    return Promise.resolve(given.map(() => ({ status: 'ACCEPTED' as const })));
  };
  const upload = new LineUpload(
    'notes',
    () => stream,
    store,
    () => ({ now: NOW * 1000, skew: 5_000_000 }),
    () => undefined,
  );
  const { counts } = await upload.run(bodyOf(lines, stream, text));
  return { batches, counts };
}

describe('an upload of lines', () => {
  it('stores large events a few megabytes at a time, all of them', async () => {
    const { batches, counts } = await batchesOf(60, streamOf(200), 'x'.repeat(4000));
    expect(counts).toEqual({ ACCEPTED: 60 });
    // An event of 1.6 MB, which the last of a batch may have too much.
    expect(batches.filter(({ bytes }) => bytes > 4 * MiB)).toEqual([]);
  });

  it('stores small events by the thousand', async () => {
    const { batches } = await batchesOf(4500, streamOf(2), 'x');
    expect(batches.map(({ events }) => events)).toEqual([2000, 2000, 500]);
  });
});
