import type { Database } from '@sibyl/database';
import { createTestDatabase, type TestDatabase } from '@sibyl/database/testing';
import { SystemClock, systemActor } from '@sibyl/kernel';
import { featureMigrations } from '../migrations';
import { DefinitionCompiler } from './definition-compiler';
import { DefinitionSnapshot } from './definition-snapshot';
import { DefinitionStore } from './definition-store';

const compiler = new DefinitionCompiler();
const silent = { warn: () => undefined };
let test: TestDatabase;

beforeAll(async () => (test = await createTestDatabase(featureMigrations)));
afterAll(() => test.drop());

/** A database that answers when it is let. */
function slowDatabase(): { readonly database: Database; readonly asked: Promise<void>; readonly open: () => void } {
  let open: () => void = () => undefined;
  let ask: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => (open = resolve));
  const asked = new Promise<void>((resolve) => (ask = resolve));
  const query: Database['query'] = async (...given) => {
    const rows = await test.database.query(...given);
    ask();
    await gate;
    return rows as never;
  };
  return { database: Object.assign(Object.create(test.database) as Database, { query }), asked, open };
}

it('holds what was published before it was refreshed, though a look had begun before that', async () => {
  const { database, asked, open } = slowDatabase();
  const late = new DefinitionSnapshot({ database, compiler, log: silent });
  const first = late.refresh();
  await asked;
  const snapshot = new DefinitionSnapshot({ database: test.database, compiler, log: silent });
  const parts = { database: test.database, clock: new SystemClock(), compiler, snapshot };
  const store = new DefinitionStore({ ...parts, setsInService: () => Promise.resolve([]) });
  const document = {
    kind: 'FeatureView',
    name: 'prices',
    entity: { name: 'symbol', type: 'string' },
    streams: [{ name: 'ticks', fields: { price: 'double' } }],
    features: [{ name: 'price', op: 'last', input: 'price' }],
  };
  const ask = { kind: 'view', name: 'prices', document } as const;
  const { hash } = await store.publish(systemActor('test'), ask, () => Promise.resolve());
  const refreshed = late.refresh();
  open();
  await first;
  expect(late.view('prices')).toBeUndefined();
  await refreshed;
  expect(late.view('prices')?.hash).toBe(hash);
  expect(late.stream('ticks')?.definition.name).toBe('ticks');
});
