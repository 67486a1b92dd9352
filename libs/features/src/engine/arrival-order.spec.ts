import fc from 'fast-check';
import { BEGIN, histories } from '../testing/histories';
import { LONG_FEATURES, SHORT_FEATURES, ticks } from '../testing/naive-features';
import { EngineStand } from '../testing/stand';
import { planOf } from '../testing/test-plans';
import { MICROS_PER_SECOND } from '../time';

describe.each(['event_id', 'event_time'] as const)('events known by %s', (identity) => {
  const plan = planOf(
    [ticks(identity)],
    [...SHORT_FEATURES, ...LONG_FEATURES].map(({ feature }) => feature),
  );

  it('come to the same values in whatever order and however often they are heard', async () => {
    await fc.assert(
      fc.asyncProperty(
        histories(identity).chain((events) =>
          fc.tuple(
            fc.constant(events),
            fc.shuffledSubarray(events, { minLength: events.length }),
            fc.shuffledSubarray(events),
          ),
        ),
        fc.nat(20),
        async ([events, shuffled, again], split) => {
          const engine = new EngineStand(plan);
          engine.now = BEGIN + 3600 * MICROS_PER_SECOND;
          await engine.read();
          engine.log.events.push(...events);
          engine.store.taken(shuffled.slice(0, split));
          if (split % 2 === 0) await engine.read();
          engine.store.taken([...again, ...shuffled.slice(split), ...again]);
          const heard = await engine.read();
          expect(engine.log.reads).toBeLessThan(4);
          engine.store.drop(engine.store.tablesOf('ticks')[0] as never, 'e');
          expect(heard).toEqual(await engine.read());
        },
      ),
      { seed: 7, numRuns: 500, endOnFailure: true },
    );
  }, 60_000);
});
