import fc from 'fast-check';
import type { StreamIdentity } from '../definitions/feature-view';
import type { FeatureEvent, TakenEvent } from '../log/feature-event';
import { BEGIN, histories } from './histories';
import { eventsThatCount, LONG_FEATURES, SHORT_FEATURES, ticks } from './naive-features';
import type { Frame } from '../engine/frame';
import { PastWalks, type WayLimits } from '../engine/past-walks';
import { EngineStand } from './stand';
import { planOf } from './test-plans';
import { MICROS_PER_SECOND, type Micros } from '../time';

const SECOND = MICROS_PER_SECOND;
const RUNS = 2500;
type View = { at: Micros; knownAt: Micros; corrected: boolean };

/** Half of the ten thousand histories: those of streams whose events are known by `identity`. */
export function describeHistories(identity: StreamIdentity): void {
  describe.each([
    // Nothing in it changes with each moment: vectors are found again, until an event leaves a window.
    ['short', SHORT_FEATURES.filter(({ feature }) => feature.name !== 'since')],
    ['long', [...SHORT_FEATURES, ...LONG_FEATURES]],
  ] as const)('histories of events known by ' + identity + ', %s memory', (memory, features) => {
    const seed = (memory === 'short' ? 1 : 2) + (identity === 'event_id' ? 10 : 20);
    const plan = planOf(
      [ticks(identity)],
      features.map(({ feature }) => feature),
    );

    function naive(events: readonly FeatureEvent[], view: View): Record<string, unknown> {
      const counting = eventsThatCount(events, identity, view);
      return Object.fromEntries(
        features.map(({ feature, naive: of }) => {
          if (counting.length === 0) return [feature.name, 'NOT_FOUND'];
          const outcome = of(counting, view.at);
          return [feature.name, 'value' in outcome ? outcome.value : outcome.status];
        }),
      );
    }

    it('give live, from the log and by the definition the same values', async () => {
      await fc.assert(
        fc.asyncProperty(histories(identity, memory === 'short' ? 40 : 90), moments(), async (events, choices) => {
          const engine = new EngineStand(plan);
          const served = await replay(engine, events, choices, (known, at) => {
            expectClose(known, naive(engine.log.events, { at, knownAt: at, corrected: false }));
          });
          engine.now += 1000 * SECOND;
          // What was served is what the log gives of that moment, to the last bit.
          for (const [at, values] of served) expectEqual(await engine.readPast(at), values);
          // So has a training set, whose rows are read together.
          const rows = [...served].reverse();
          const strict = rows.map(([at]) => ({ at, knownAt: at, corrected: false }));
          const made = await walk(
            engine,
            rows.map(() => 'e'),
            strict,
          );
          for (const [i, [, values]] of rows.entries()) expectEqual(made[i] ?? {}, values);
          await checkTrainingSet(engine, events, choices, (values, view) => expectClose(values, naive(events, view)));
          for (const choice of choices.slice(0, 2)) {
            const at = BEGIN + choice * SECOND;
            for (const view of [
              { at, knownAt: at + 7 * SECOND, corrected: false },
              { at, knownAt: engine.now, corrected: true },
            ]) {
              expectClose(await engine.readPast(at, view), naive(events, view));
            }
            // What happened later, or was known later, changes nothing.
            const other = new EngineStand(plan);
            other.now = engine.now;
            other.log.events.push(...withAnotherFuture(events, at));
            expectEqual(await other.readPast(at), await engine.readPast(at));
          }
        }),
        { seed, numRuns: RUNS, endOnFailure: true },
      );
    }, 600_000);
  });
}

/**
 * Rows in no order, some twice, as of what was known then, at one moment and now: each one is what a read of its own gives, to the
 * last bit, also where only a few events are read at once.
 */
async function checkTrainingSet(
  engine: EngineStand,
  events: readonly FeatureEvent[],
  choices: readonly number[],
  check: (values: Record<string, unknown>, view: View) => void,
): Promise<void> {
  const known = BEGIN + (choices[0] ?? 0) * SECOND;
  const views = choices.flatMap((choice, i): View[] => {
    const at = BEGIN + (choice - i) * SECOND;
    if (events.length % 3 === 0) return [{ at, knownAt: engine.now, corrected: true }];
    if (events.length % 3 === 1) return [{ at, knownAt: known, corrected: known > at }];
    return [{ at, knownAt: at, corrected: false }];
  });
  const asked = [...views, ...views.slice(1)];
  const entities = asked.map((_, i) => (i % 4 === 3 ? 'other' : 'e'));
  const rows = await walk(engine, entities, asked, { events: 3, ofEach: 1 });
  for (const [i, view] of asked.entries()) {
    const [values = {}, entity = ''] = [rows[i], entities[i]];
    expectEqual(values, await engine.readPast(view.at, { ...view, entity }));
    if (entity === 'e') check(values, view);
  }
}

async function walk(
  engine: EngineStand,
  entities: readonly string[],
  asked: readonly View[],
  limits?: WayLimits,
): Promise<Record<string, unknown>[]> {
  const rows: Record<string, unknown>[] = [];
  const onRow = (row: number, frames: readonly Frame[]): void => void (rows[row] = engine.named({ frames: [frames] }));
  await new PastWalks(engine.log, () => engine.now, limits).read(engine.query(...entities), asked, { onRow });
  return rows;
}

function withAnotherFuture(events: readonly FeatureEvent[], at: Micros): FeatureEvent[] {
  return events.flatMap((event, i): FeatureEvent[] => {
    if (event.eventTime <= at && event.ingestedAt <= at) return [event];
    return i % 3 === 0 ? [] : [{ ...event, logOnly: false, values: [i * 1000, 'c', true] }];
  });
}

function moments(): fc.Arbitrary<number[]> {
  return fc.array(fc.integer({ min: 0, max: 130 }), { minLength: 2, maxLength: 6 });
}

/** Events come in the order of their arrival, each third of them twice; between them and after them is read, and memory is lost. */
async function replay(
  engine: EngineStand,
  events: readonly TakenEvent[],
  choices: readonly number[],
  check: (values: Record<string, unknown>, at: Micros) => void,
): Promise<Map<Micros, Record<string, unknown>>> {
  const served = new Map<Micros, Record<string, unknown>>();
  const read = async (): Promise<void> => {
    const values = await engine.read();
    check(values, engine.now);
    served.set(engine.now, values);
  };
  for (const [i, event] of events.entries()) {
    // What arrives at one moment is known at that moment as a whole.
    if (event.ingestedAt > engine.now && engine.now > 0 && choices.includes(i)) await read();
    engine.now = event.ingestedAt;
    engine.take(event);
    if (i % 3 === 0) engine.store.taken([events[Math.max(0, i - 2)] as TakenEvent]);
    if (i % 17 === 16) engine.store.drop(engine.store.tablesOf('ticks')[0] as never, 'e');
  }
  for (const later of choices) {
    engine.now += later * SECOND * 0.25;
    await read();
  }
  return served;
}

export function expectEqual(actual: Record<string, unknown>, expected: Record<string, unknown>): void {
  for (const [name, value] of Object.entries(expected)) {
    // The matcher costs a thousand times more than a value.
    if (!same(actual[name], value)) expect({ [name]: actual[name] }).toEqual({ [name]: value });
  }
}

export function expectClose(actual: Record<string, unknown>, expected: Record<string, unknown>): void {
  for (const [name, value] of Object.entries(expected)) {
    const found = actual[name];
    const close =
      same(value, found) ||
      (typeof value === 'number' &&
        typeof found === 'number' &&
        Math.abs(value - found) <= 1e-9 * Math.max(1, Math.abs(value)));
    if (!close) expect({ [name]: found }).toEqual({ [name]: value });
  }
}

function same(a: unknown, b: unknown): boolean {
  return Object.is(a, b) || (Array.isArray(a) && JSON.stringify(a) === JSON.stringify(b));
}
