import fc from 'fast-check';
import type { TakenEvent } from '../log/feature-event';
import { histories } from '../testing/histories';
import { eventsThatCount, LONG_FEATURES, SHORT_FEATURES, ticks } from '../testing/naive-features';
import { expectClose, expectEqual } from '../testing/point-in-time';
import { EngineStand, namedValues } from '../testing/stand';
import { planOf } from '../testing/test-plans';
import { MICROS_PER_SECOND, type Micros } from '../time';
import type { Frame } from './frame';
import type { OnlineAnswer, OnlineQuery } from './online-query';
import { PastWalks } from './past-walks';
import { Program } from './program';

const SECOND = MICROS_PER_SECOND;
const FEATURES = [...SHORT_FEATURES, ...LONG_FEATURES];
const OUTPUTS = FEATURES.map(({ feature }) => feature);

/** What a publication leaves in use: one version of the view, or another one as well that a set pins. */
const IN_USE = [[0], [1], [2], [0, 1], [2, 0], [0, 1, 2]] as const;

interface Read {
  readonly at: Micros;
  readonly programs: readonly Program[];
  readonly values: readonly Record<string, unknown>[];
}

describe.each(['event_id', 'event_time'] as const)('versions that keep events known by %s for so long', (identity) => {
  const programs = [70, 100, 100_000].map(
    (seconds) => new Program(planOf([{ ...ticks(identity), retention: seconds * SECOND }], OUTPUTS)),
  );

  function naive(engine: EngineStand, { plan }: Program, at: Micros): Record<string, unknown> {
    const { retention = 0 } = plan.streams[0]?.definition ?? {};
    const known = eventsThatCount(engine.log.events, identity, { at, knownAt: at, corrected: false });
    const counting = known.filter(({ eventTime }) => eventTime > at - retention);
    return Object.fromEntries(
      FEATURES.map(({ feature, naive: of }) => {
        if (counting.length === 0) return [feature.name, 'NOT_FOUND'];
        const outcome = of(counting, at);
        return [feature.name, 'value' in outcome ? outcome.value : outcome.status];
      }),
    );
  }

  async function replay(events: readonly TakenEvent[], choices: readonly (readonly [number, number])[]) {
    const engine = new EngineStand((programs[0] as Program).plan);
    const served: Read[] = [];
    let inUse = [programs[0] as Program];
    const publish = (choice: number): void => {
      inUse = (IN_USE[choice] ?? []).map((index) => programs[index] as Program);
      engine.store.usePlans(inUse.map(({ plan }) => plan));
    };
    const read = async (): Promise<void> => {
      const answer = await engine.live.read(queryOf(inUse));
      served.push({ at: engine.now, programs: inUse, values: valuesOf(inUse, answer) });
      for (const [i, program] of inUse.entries())
        expectClose(served.at(-1)?.values[i] ?? {}, naive(engine, program, engine.now));
      // From memory, as far as that goes.
      const at = engine.now - 2 * SECOND;
      const before = await engine.past.read(queryOf(inUse), { at, knownAt: at, corrected: false });
      for (const [i, values] of valuesOf(inUse, before).entries())
        expectClose(values, naive(engine, inUse[i] as Program, at));
    };
    for (const [i, event] of events.entries()) {
      const [, choice] = choices.find(([index]) => index === i) ?? [];
      if (choice !== undefined) {
        if (engine.now > 0) await read();
        publish(choice);
        if (engine.now > 0) await read();
      }
      engine.now = event.ingestedAt;
      engine.take(event);
      engine.settlement.told(engine.now);
      if (i % 5 === 4) await read();
    }
    for (const [later, choice] of choices) {
      engine.now += later * SECOND;
      engine.settlement.told(engine.now);
      publish(choice);
      await read();
    }
    return { engine, served };
  }

  it('give live, from the log, in training sets and by the definition the same values, each its own', async () => {
    await fc.assert(
      fc.asyncProperty(histories(identity, 90), publications(), async (events, choices) => {
        const { engine, served } = await replay(events, choices);
        const other = new EngineStand((programs[0] as Program).plan);
        other.now = engine.now += 1000 * SECOND;
        other.log.events.push(...engine.log.events);
        for (const { at, programs: views, values } of served) {
          const moment = { at, knownAt: at, corrected: false };
          const past = valuesOf(views, await other.past.read(queryOf(views), moment));
          const rows: Record<string, unknown>[][] = [];
          const onRow = (_: number, frames: readonly Frame[]): void => void rows.push(valuesOf(views, [frames]));
          await new PastWalks(other.log, () => other.now).read(queryOf(views), [moment], { onRow });
          for (const [i, known] of values.entries()) {
            expectEqual(past[i] ?? {}, known);
            expectEqual(rows[0]?.[i] ?? {}, known);
          }
        }
      }),
      { seed: identity === 'event_id' ? 31 : 32, numRuns: 500, endOnFailure: true },
    );
  }, 600_000);
});

function queryOf(views: readonly Program[]): OnlineQuery {
  return { views, rows: [{ entities: views.map(() => 'e') }], deadlineMs: 30_000 };
}

function valuesOf(
  programs: readonly Program[],
  answer: Pick<OnlineAnswer, 'frames'> | OnlineAnswer['frames'],
): Record<string, unknown>[] {
  const [row = []] = 'frames' in answer ? answer.frames : answer;
  return programs.map((program, i) => namedValues(program, row[i] as Frame));
}

/** After how many events, or after how many seconds once all have come, what is in use. */
function publications(): fc.Arbitrary<[number, number][]> {
  const inUse = fc.integer({ min: 0, max: IN_USE.length - 1 });
  return fc.array(fc.tuple(fc.integer({ min: 0, max: 80 }), inUse), { minLength: 2, maxLength: 7 });
}
