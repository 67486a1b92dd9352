import { Client } from 'pg';
import { LogStand, unrecorded } from '../testing/log-stand';
import { streamDefinition } from '../testing/stream-definition';
import type { EventWriter } from './event-writer';
import { FeatureLog } from './feature-log';
import { LogOptions } from './log-options';

const MiB = 1_048_576;
const FIELDS = 200;
const caller = { type: 'key', id: 'k', keyId: 'k', name: 'tests' } as const;

let stand: LogStand;

beforeAll(async () => {
  stand = await LogStand.open();
  const fields = Array.from({ length: FIELDS }, (_, i) => ({
    name: `f${i}`,
    type: 'string' as const,
    nullable: false,
  }));
  await stand.addStream(streamDefinition({ name: 'notes', fields }));
});
afterAll(() => stand.close());

let minutes = 0;
const tick = (entity: string): object => ({
  entity,
  event_time: Date.now() - 3_600_000 + ++minutes,
  values: { price: minutes, size: 1 },
});

/** An event of 800 kB. */
function note(n: number): object {
  const values = Object.fromEntries(
    Array.from({ length: FIELDS }, (_, i) => [
      `f${i}`,
      String(i + n)
        .repeat(2000)
        .slice(0, 4000),
    ]),
  );
  return { entity: `N${n}`, event_time: Date.now() - 60_000 + n, values };
}

async function push(writer: EventWriter, of: string, ...entities: string[]): Promise<string[]> {
  const results = await writer.push(
    of,
    entities.map((entity) => stand.event('ticks', tick(entity))),
  );
  return results.map(({ result }) => result);
}

/** Somebody else's transaction that has the row of an entity for so long. */
async function locked(entity: string, work: (release: () => Promise<unknown>) => Promise<void>): Promise<void> {
  const client = new Client({ connectionString: stand.url });
  await client.connect();
  try {
    await client.query('BEGIN');
    await client.query('SELECT FROM features.latest WHERE entity = $1 FOR UPDATE', [entity]);
    await work(() => client.query('COMMIT'));
  } finally {
    await client.end();
  }
}

describe('what takes the database long', () => {
  it('fails the pushes of its caller and of no other', async () => {
    const writer = stand.writer([], { writers: 1 });
    await push(writer, 'slow', 'HELD');
    await locked('HELD', async () => {
      const pushes = [
        push(writer, 'slow', 'HELD'),
        push(writer, 'swift', 'FREE'),
        push(writer, 'other', 'A', 'B'),
        push(writer, 'slow', 'C'),
      ];
      const ends = await Promise.allSettled(pushes);
      expect(ends).toMatchObject([
        { status: 'rejected', reason: { code: 'database_unavailable' } },
        { status: 'fulfilled', value: ['ACCEPTED'] },
        { status: 'fulfilled', value: ['ACCEPTED', 'ACCEPTED'] },
        { status: 'rejected', reason: { code: 'database_unavailable' } },
      ]);
    });
    expect(await push(writer, 'slow', 'HELD')).toEqual(['ACCEPTED']);
    expect(writer.depth).toBe(0);
  });

  it('is not tried for each of many callers', async () => {
    const writer = stand.writer([], { writers: 1 });
    const many = Array.from({ length: 8 }, (_, i) => `caller-${i}`);
    await push(writer, 'first', 'HELD');
    const transactions = jest.spyOn(stand.database, 'transaction');
    await locked('HELD', async () => {
      const ends = await Promise.allSettled(many.map((of) => push(writer, of, 'HELD')));
      expect(ends.filter(({ status }) => status === 'fulfilled')).toEqual([]);
    });
    expect(transactions).toHaveBeenCalledTimes(3);
    transactions.mockRestore();
    expect(writer.depth).toBe(0);
  });

  it('has more time where one push has more bytes than a batch', async () => {
    const writer = stand.writer([], { batchBytes: 500 });
    await push(writer, 'one', 'LARGE');
    await locked('LARGE', async (release) => {
      const large = push(writer, 'one', 'LARGE', 'LARGE', 'LARGE');
      await new Promise((resolve) => setTimeout(resolve, 2_200));
      await release();
      expect(await large).toEqual(['ACCEPTED', 'ACCEPTED', 'ACCEPTED']);
    });
  });
});

it('a history of events that are larger than the queue together is stored, all of it', async () => {
  const { database, clock, streams } = stand;
  const log = { info: () => undefined, warn: () => undefined };
  const options = Object.assign(new LogOptions(), { queueBytes: 16 * MiB, callerBytes: 8 * MiB });
  const features = await FeatureLog.start(
    { database, clock, streams, listeners: [], settlement: stand.settlement(), log, record: unrecorded },
    options,
  );
  try {
    const lines = async function* (): AsyncGenerator<Buffer> {
      for (let n = 0; n < 24; n++) yield await Promise.resolve(Buffer.from(`${JSON.stringify(note(n))}\n`));
    };
    expect(await features.upload(caller, 'notes', lines())).toEqual({
      lines: 24,
      counts: { ACCEPTED: 24 },
      faults: [],
    });
  } finally {
    await features.stop();
  }
}, 60_000);
