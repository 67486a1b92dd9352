import { PastReads } from '../engine/past-reads';
import { FeatureQuality } from '../quality/feature-quality';
import { BEGIN, tick } from '../testing/histories';
import { EngineStand } from '../testing/stand';
import { planOf, streamOf } from '../testing/test-plans';
import { instantText, MICROS_PER_SECOND } from '../time';
import { FeatureReads, type FeatureReadsParts, type ReadRequest } from './feature-reads';
import { ReadOptions } from './read-options';
import { SelectedFrames, type SelectionRead } from './selected-frames';
import type { Selection } from './selection';

const ROWS = 1000;
const MEMBERS = 20;

const stream = streamOf('spends', 'event_id', { amount: 'double' });
const plan = planOf([stream], [{ name: 'amount', op: 'last', stream: 'spends', inputs: ['amount'] }]);

interface Stand {
  readonly engine: EngineStand;
  readonly reads: FeatureReads;
  readonly selection: Selection;
}

function stand(count = MEMBERS): Stand {
  const engine = new EngineStand(plan);
  const { log, store, live, settlement, program } = engine;
  const counter = { count: () => undefined };
  const past = new PastReads({ log, now: () => engine.now, counter, settlement, cacheBytes: 1024 });
  engine.now = BEGIN + 100 * MICROS_PER_SECOND;
  engine.take(tick({ stream: 'spends', entity: 'e', eventTime: BEGIN, values: [7], id: 1 }));
  const now = () => engine.now;
  const selected = new SelectedFrames({ store, live, past, now, quality: new FeatureQuality() });
  // What computing takes of turns goes by the clock: only what is made of the rows is counted.
  const read = (selection: Selection, asked: SelectionRead) => selected.read(selection, { ...asked, pace: undefined });
  const frames = { read, isInMemory: selected.isInMemory.bind(selected) } as SelectedFrames;
  const parts = { store, live, past, settlement, frames, now } as Partial<FeatureReadsParts> as FeatureReadsParts;
  const slot = program.slots.get('amount') ?? -1;
  const members = Array.from({ length: count }, (_, i) => ({
    ...({
      name: `m${i}`,
      feature: 'amount',
      type: 'double',
      view: 0,
      slot,
      source: 'stream',
      required: false,
    } as const),
  }));
  const { view } = program.plan;
  return {
    engine,
    reads: new FeatureReads(parts, new ReadOptions()),
    selection: {
      views: [{ view, program }],
      programs: [program],
      members,
      sources: members.map(({ source }) => source),
    },
  };
}

function rowsOf({ views }: Selection, count: number): ReadRequest['rows'] {
  const key = views[0]?.view.entity.name ?? '';
  return Array.from({ length: count }, () => ({ entity: { [key]: 'e' } }));
}

it('whatever is made of many rows is made in slices', async () => {
  const { reads, selection } = stand();
  const rows = rowsOf(selection, ROWS);
  const turns = async (more: Partial<ReadRequest> = {}): Promise<number> => {
    let taken = 0;
    const next = (): Promise<void> => Promise.resolve(void taken++);
    const answer = await reads.readSelected(selection, { rows, ...more, pace: { due: true, next } });
    expect(answer.rows[999]?.values[0]).toBe(more.maxStaleness === undefined ? 7 : null);
    return taken;
  };
  const once = await turns();
  expect(once).toBeGreaterThan(0);
  expect(await turns({ maxStaleness: { m0: '1s' } })).toBe(2 * once);
  expect(await turns({ origins: true })).toBe(2 * once);
});

it('what was not heard of may be missing from a read of now, and not from one of the past, which reads the log', async () => {
  const { engine, reads, selection } = stand();
  const rows = rowsOf(selection, 1);
  const timestamp = instantText(engine.now - MICROS_PER_SECOND);
  const unheard = async (more: Partial<ReadRequest> = {}): Promise<boolean> =>
    (await reads.readSelected(selection, { rows, ...more })).unheard;
  engine.settlement.told(engine.now);
  expect([await unheard(), await unheard({ timestamp })]).toEqual([false, false]);
  engine.settlement.looked(-1);
  expect([await unheard(), await unheard({ timestamp })]).toEqual([true, false]);
  // Nor from what is read of the log because nothing of it is kept in memory.
  engine.store.usePlans([]);
  expect(await unheard()).toBe(false);
});

it('large reads that wait for their moment hold up no others', async () => {
  const { engine, reads, selection } = stand(30);
  const rows = rowsOf(selection, ROWS);
  const timestamp = instantText(engine.now - MICROS_PER_SECOND);
  const read = (more: Partial<ReadRequest> = {}) => reads.readSelected(selection, { rows, ...more });
  const past = Array.from({ length: 5 }, async () => (await read({ timestamp, deadlineMs: 60_000 })).at);
  const now = await Promise.race([read().then(({ at }) => at), ...past]);
  expect(now).toBe(engine.now);
  engine.settlement.told(engine.now);
  expect(new Set(await Promise.all(past))).toEqual(new Set([engine.now - MICROS_PER_SECOND]));
});
