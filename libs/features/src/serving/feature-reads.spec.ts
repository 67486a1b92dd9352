import { FeatureQuality } from '../quality/feature-quality';
import { BEGIN, tick } from '../testing/histories';
import { EngineStand } from '../testing/stand';
import { planOf, streamOf } from '../testing/test-plans';
import { MICROS_PER_SECOND } from '../time';
import { FeatureReads, type FeatureReadsParts, type ReadRequest } from './feature-reads';
import { ReadOptions } from './read-options';
import { SelectedFrames, type SelectionRead } from './selected-frames';
import type { Selection } from './selection';

const ROWS = 1000;
const MEMBERS = 20;

const stream = streamOf('spends', 'event_id', { amount: 'double' });
const plan = planOf([stream], [{ name: 'amount', op: 'last', stream: 'spends', inputs: ['amount'] }]);

function stand(): { readonly reads: FeatureReads; readonly selection: Selection } {
  const engine = new EngineStand(plan);
  const { store, live, past, settlement, program } = engine;
  engine.now = BEGIN + 100 * MICROS_PER_SECOND;
  engine.take(tick({ stream: 'spends', entity: 'e', eventTime: BEGIN, values: [7], id: 1 }));
  const now = () => engine.now;
  const selected = new SelectedFrames({ store, live, past, now, quality: new FeatureQuality() });
  // What computing takes of turns goes by the clock: only what is made of the rows is counted.
  const read = (selection: Selection, asked: SelectionRead) => selected.read(selection, { ...asked, pace: undefined });
  const frames = { read, isInMemory: selected.isInMemory.bind(selected) } as SelectedFrames;
  const parts = { store, live, past, settlement, frames, now } as Partial<FeatureReadsParts> as FeatureReadsParts;
  const slot = program.slots.get('amount') ?? -1;
  const members = Array.from({ length: MEMBERS }, (_, i) => ({
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
    reads: new FeatureReads(parts, new ReadOptions()),
    selection: {
      views: [{ view, program }],
      programs: [program],
      members,
      sources: members.map(({ source }) => source),
      kept: () => undefined,
    },
  };
}

it('whatever is made of many rows is made in slices', async () => {
  const { reads, selection } = stand();
  const key = selection.views[0]?.view.entity.name ?? '';
  const rows = Array.from({ length: ROWS }, () => ({ entity: { [key]: 'e' } }));
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
