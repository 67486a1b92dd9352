import { DomainError } from '@sibyl/kernel';
import type { AliasEvent } from './alias-event';
import { packageFolder } from './testing';
import { ALICE, registryFixture, type RegistryFixture } from './testing/registry-fixture';

const MODELS = ['m', 'n'];
const ALIASES = ['production', 'champion', 'canary'];
const VERSIONS = ['1', '2', '3', '4'];
const MOVES = 300;
const QUESTIONS = 10_000;
const AT_ONCE = 8;

let at: RegistryFixture;
beforeAll(async () => (at = await registryFixture()));
afterAll(() => at.end());

/** The same numbers in every run. */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const pick = <T>(list: readonly T[], below: (n: number) => number): T => list[below(list.length)] as T;

/** Moves and rolls back at random; what was done, in its order. */
async function randomMoves(below: (n: number) => number): Promise<AliasEvent[]> {
  const log: AliasEvent[] = [];
  const present = new Map<string, string>();
  for (let i = 0; i < MOVES; i++) {
    const [model, alias] = [pick(MODELS, below), pick(ALIASES, below)];
    const etag = present.get(`${model}/${alias}`);
    const request = { model, alias, reason: `move ${i}` };
    const condition = etag === undefined ? { ifNoneMatch: '*' } : { ifMatch: etag };
    const back = etag !== undefined && below(3) === 0;
    const work = back
      ? at.registry.aliases.rollback(ALICE, { ...request, ifMatch: etag }, at.record)
      : at.registry.aliases.move(ALICE, { ...request, version: pick(VERSIONS, below), ...condition }, at.record);
    const event = await work.catch((error: DomainError) => {
      if (error.code === 'version_not_servable') return undefined;
      throw error;
    });
    if (event && event.etag !== etag) log.push(event);
    if (event) present.set(`${model}/${alias}`, event.etag);
    // Several moves may fall into one millisecond, and clocks are set back.
    at.clock.advance(below(20) === 0 ? -below(500) : below(4) === 0 ? 0 : below(2_000));
  }
  return log;
}

it('10,000 random questions what an alias was then are answered as a replay of the log answers them', async () => {
  for (const name of MODELS)
    for (const version of VERSIONS)
      await at.registry.registerFolder(ALICE, await packageFolder({ manifest: { name, version } }), {}, at.record);
  const below = numbers(7);
  const log = await randomMoves(below);
  expect(log.length).toBeGreaterThan(MOVES / 2);
  const times = log.map((event) => Date.parse(event.at));
  const [first, last] = [Math.min(...times) - 2_000, Math.max(...times) + 2_000];
  const replayed = (model: string, alias: string, atMs: number): AliasEvent | undefined => {
    let state: AliasEvent | undefined;
    for (const event of log)
      if (event.model === model && event.alias === alias && Date.parse(event.at) <= atMs) state = event;
    return state;
  };
  const wrong: unknown[] = [];
  let without = 0;
  const ask = async (): Promise<void> => {
    const [model, alias] = [pick(MODELS, below), pick(ALIASES, below)];
    // Half of them at the very moment of a move or a millisecond beside it.
    const atMs = below(2) === 0 ? pick(times, below) + below(3) - 1 : first + below(last - first);
    const expected = replayed(model, alias, atMs);
    const answer = await at.registry.catalog.aliasAt(model, alias, atMs).catch((error: DomainError) => error);
    if (answer instanceof DomainError) without++;
    const same =
      answer instanceof DomainError
        ? answer.code === 'alias_not_found' && expected === undefined
        : JSON.stringify(answer) === JSON.stringify(expected);
    if (!same) wrong.push({ model, alias, atMs, expected, answer });
  };
  for (let asked = 0; asked < QUESTIONS; asked += AT_ONCE)
    await Promise.all(Array.from({ length: Math.min(AT_ONCE, QUESTIONS - asked) }, ask));
  expect(wrong.slice(0, 3)).toEqual([]);
  // Neither kind of answer is the only one.
  expect(without).toBeGreaterThan(10);
  expect(without).toBeLessThan(QUESTIONS / 2);
}, 120_000);

describe('latest', () => {
  const good = async (version: string): Promise<unknown> =>
    at.registry.registerFolder(ALICE, await packageFolder({ manifest: { name: 'l', version } }), {}, at.record);
  const latest = async (): Promise<unknown[]> => {
    const snapshot = await at.another().snapshot();
    const served = snapshot.models.find(({ name }) => name === 'l')?.versions ?? [];
    return [
      (await at.registry.find('l', 'latest')).version,
      (await at.registry.catalog.aliasAt('l', 'latest')).version,
      served.length,
    ];
  };

  it('never is a version that was not validated, rejected, archived, or failed when it was tried again', async () => {
    await good('1');
    await good('2');
    expect(await latest()).toEqual(['2', '2', 2]);
    // Registered, and its trial under way.
    let during: unknown;
    at.runtime.before = async () => void (during = await latest());
    await good('3');
    at.runtime.before = undefined;
    expect([during, await latest()]).toEqual([
      ['2', '2', 3],
      ['3', '3', 3],
    ]);
    const wrong = { samples: [{ inputs: { features: [[0, 0]] }, outputs: { variable: [[9]] } }] };
    const folder = await packageFolder({ manifest: { name: 'l', version: '4' }, golden: wrong });
    await expect(at.registry.registerFolder(ALICE, folder, {}, at.record)).rejects.toMatchObject({
      code: 'model_rejected',
    });
    expect(await latest()).toEqual(['3', '3', 4]);
    await at.registry.archive(ALICE, { model: 'l', version: '3', reason: 'old' }, at.record);
    expect(await latest()).toEqual(['2', '2', 4]);
    // An alias keeps it in service although it fails now; it is not offered to anybody else.
    const move = { model: 'l', alias: 'champion', version: '2', reason: 'x', ifNoneMatch: '*' };
    await at.registry.aliases.move(ALICE, move, at.record);
    const { answer } = at.runtime;
    at.runtime.answer = (features) => ({ ...answer(features), name: 'other' });
    await expect(
      at.registry.revalidate(ALICE, { model: 'l', version: '2', reason: 'x' }, at.record),
    ).rejects.toMatchObject({
      code: 'model_rejected',
    });
    at.runtime.answer = answer;
    expect(await latest()).toEqual(['1', '1', 4]);
  });
});
