import { DomainError } from '@sibyl/kernel';
import type { Tensor } from '@sibyl/protocol';
import type { InferRequest } from './model-runtime';
import type { ServedVersion } from './served-version';
import { column, SimulatedPool, type Cost } from './testing/simulated-pool';

const LIGHT: Cost = (rows) => 0.1 + 0.01 * rows;
const HEAVY: Cost = (rows) => 1 + 1 * rows;
/** As an image model: rows cost the same, alone or together. */
const FLAT: Cost = (rows) => 0.01 + 2 * rows;
const BUDGET_MS = 10;

let pool: SimulatedPool;

beforeEach(() => {
  pool = new SimulatedPool();
});

type Wish = Partial<Pick<InferRequest, 'bulk' | 'deadlineAt'>>;

function ask(version: ServedVersion, values: readonly number[], wish: Wish = {}): Promise<readonly Tensor[]> {
  const inputs = [column(...values)];
  const deadlineAt = wish.deadlineAt ?? pool.now + 1e6;
  return version.infer({ inputs, rows: values.length, aborted: false, ...wish, deadlineAt });
}

/** Keeps so many requests waiting for a version, until it is stopped. */
function flood(version: ServedVersion, count: number, wish: Wish = {}): { answered: number; stop(): void } {
  const state = { answered: 0, stopped: false, stop: () => (state.stopped = true) };
  const again = (): void => {
    if (state.stopped) return;
    ask(version, [1], wish).then(
      () => {
        state.answered++;
        again();
      },
      () => undefined,
    );
  };
  for (let i = 0; i < count; i++) again();
  return state;
}

const runsOf = (key: string) => pool.runs.filter((run) => run.key === key);
const timeOf = (key: string): number => runsOf(key).reduce((sum, run) => sum + run.ms, 0);

function teach(version: ServedVersion, cost: Cost): void {
  for (const rows of [1, 8, 32]) version.speed.learn(rows, cost(rows), true);
}

describe('a batch', () => {
  it('holds what waits, and takes no longer than its budget', async () => {
    const version = pool.version('heavy', HEAVY);
    teach(version, HEAVY);
    const load = flood(version, 40);
    await pool.run(500);
    load.stop();
    expect(
      Math.min(
        ...runsOf('heavy')
          .slice(1)
          .map((run) => run.rows),
      ),
    ).toBeGreaterThanOrEqual(8);
    expect(Math.max(...runsOf('heavy').map((run) => run.ms))).toBeLessThanOrEqual(BUDGET_MS);
  });

  it('keeps to the budget of its version', async () => {
    const version = pool.version('strict', HEAVY, { batchBudgetMs: 4 });
    teach(version, HEAVY);
    const load = flood(version, 40);
    await pool.run(200);
    load.stop();
    expect(Math.max(...runsOf('strict').map((run) => run.ms))).toBeLessThanOrEqual(4);
  });

  it('learns from traffic alone how many rows that is', async () => {
    const version = pool.version('untaught', HEAVY);
    const load = flood(version, 100);
    await pool.run(2_000);
    load.stop();
    expect(runsOf('untaught').at(-1)?.ms).toBeLessThanOrEqual(BUDGET_MS + 1);
  });

  it('has one request where a model gains nothing by more, and tries now and then whether it does', async () => {
    let cost = FLAT;
    const version = pool.version('flat', (rows) => cost(rows));
    teach(version, FLAT);
    const load = flood(version, 20);
    await pool.run(1_000);
    const several = runsOf('flat').filter((run) => run.rows > 1);
    expect(runsOf('flat').length).toBeGreaterThan(300);
    expect(several.length).toBeLessThan(10);
    cost = HEAVY;
    await pool.run(2_000);
    load.stop();
    expect(runsOf('flat').at(-1)?.rows).toBeGreaterThan(4);
  });

  it('is spread over the runners that are idle, if it is worth it', async () => {
    pool = new SimulatedPool(2);
    const heavy = pool.version('heavy', HEAVY);
    const light = pool.version('light', LIGHT);
    teach(heavy, HEAVY);
    teach(light, LIGHT);
    const answers = [1, 2, 3, 4, 5, 6].map((value) => ask(heavy, [value]));
    await pool.drain();
    expect(runsOf('heavy').map(({ rows, place }) => [rows, place])).toEqual([
      [3, 0],
      [3, 1],
    ]);
    answers.push(...[1, 2, 3].map((value) => ask(light, [value])));
    await pool.drain();
    expect(runsOf('light').map((run) => run.rows)).toEqual([3]);
    expect((await Promise.all(answers)).map(([y]) => y?.data[0])).toEqual([1, 2, 3, 4, 5, 6, 1, 2, 3]);
  });
});

describe('versions', () => {
  it('that are flooded have the same time of the runner, whatever their batches take', async () => {
    const heavy = pool.version('heavy', HEAVY);
    const light = pool.version('light', LIGHT);
    teach(heavy, HEAVY);
    teach(light, LIGHT);
    const loads = [flood(heavy, 200), flood(light, 20)];
    await pool.run(3_000);
    for (const load of loads) load.stop();
    expect(timeOf('heavy') / timeOf('light')).toBeCloseTo(1, 1);
  });

  it('with a few requests keep nearly all their answers beside one that is flooded', async () => {
    const heavy = pool.version('heavy', HEAVY);
    const others = Array.from({ length: 9 }, (_, i) => pool.version(`light-${i}`, LIGHT));
    teach(heavy, HEAVY);
    for (const other of others) teach(other, LIGHT);
    const load = flood(heavy, 500);
    const waits: number[] = [];
    for (let i = 0; i < 200; i++) {
      const began = pool.now;
      for (const other of others) void ask(other, [1]).then(() => waits.push(pool.now - began));
      await pool.run(10);
    }
    load.stop();
    await pool.run(50);
    expect(waits).toHaveLength(200 * others.length);
    // The batch that runs when they come, which is shorter the more versions share the runner, and each other.
    expect(Math.max(...waits.slice(3 * others.length))).toBeLessThan(6);
    expect(timeOf('heavy')).toBeGreaterThan(1_400);
  });

  it('that come back after a pause have not saved up what they did not use', async () => {
    const [busy, late] = [pool.version('busy', LIGHT), pool.version('late', LIGHT)];
    const first = flood(busy, 20);
    await pool.run(1_000);
    const second = flood(late, 20);
    const from = pool.runs.length;
    await pool.run(200);
    for (const load of [first, second]) load.stop();
    const runs = pool.runs.slice(from);
    expect(runs.filter((run) => run.key === 'busy').length / runs.length).toBeGreaterThan(0.4);
  });
});

describe('bulk requests', () => {
  it('leave the runner to interactive ones, and are not starved by them', async () => {
    const [busy, large] = [pool.version('busy', HEAVY), pool.version('large', HEAVY)];
    for (const version of [busy, large]) teach(version, HEAVY);
    const loads = [flood(busy, 50), flood(large, 50, { bulk: true })];
    await pool.run(5_000);
    for (const load of loads) load.stop();
    expect(timeOf('busy') / timeOf('large')).toBeGreaterThan(8);
    expect(timeOf('busy') / timeOf('large')).toBeLessThan(12);
  });

  it('of a version wait behind its interactive ones, however many there are', async () => {
    const version = pool.version('both', HEAVY);
    teach(version, HEAVY);
    const load = flood(version, 900, { bulk: true });
    await pool.run(100);
    const began = pool.now;
    let waited = 0;
    void ask(version, [1]).then(() => (waited = pool.now - began));
    await pool.run(100);
    load.stop();
    expect(waited).toBeGreaterThan(0);
    expect(waited).toBeLessThan(2 * BUDGET_MS + 3);
  });

  it('have the whole runner when nobody else wants it', async () => {
    const version = pool.version('alone', HEAVY);
    teach(version, HEAVY);
    const load = flood(version, 50, { bulk: true });
    await pool.run(1_000);
    load.stop();
    expect(timeOf('alone')).toBeGreaterThan(950);
  });
});

describe('a request of many rows', () => {
  const values = Array.from({ length: 100 }, (_, i) => i);

  it('runs in pieces that keep to the budget, others in between, and is answered as one', async () => {
    const version = pool.version('heavy', HEAVY);
    teach(version, HEAVY);
    const answer = ask(version, values);
    await pool.run(5);
    const began = pool.now;
    let waited = 0;
    void ask(version, [7]).then(() => (waited = pool.now - began));
    await pool.drain();
    expect((await answer)[0]).toEqual({ ...column(...values), name: 'x' });
    expect(Math.max(...pool.runs.map((run) => run.ms))).toBeLessThanOrEqual(BUDGET_MS);
    expect(waited).toBeLessThan(3 * BUDGET_MS);
    expect(version.interactive.queue.rows).toBe(0);
  });

  it('runs whole where the model has not a row for each row', async () => {
    const version = pool.version('sum', HEAVY, {}, (rows) => [rows.reduce((a, b) => a + b, 0)]);
    teach(version, HEAVY);
    const answer = ask(version, values);
    await pool.drain();
    expect((await answer)[0]?.data).toEqual(Float32Array.of(4950));
    expect(pool.runs.at(-1)?.rows).toBe(100);
    expect([version.batchable, version.interactive.queue.rows]).toEqual([false, 0]);
  });

  it('is dropped whole when its caller hangs up or its deadline passes', async () => {
    const version = pool.version('heavy', HEAVY);
    teach(version, HEAVY);
    const request = { inputs: [column(...values)], rows: 100, deadlineAt: pool.now + 1e6, aborted: false };
    const left = version.infer(request);
    const late = ask(version, values, { deadlineAt: pool.now + 300 });
    left.catch(() => undefined);
    late.catch(() => undefined);
    await pool.run(15);
    request.aborted = true;
    await pool.drain();
    await expect(left).rejects.toMatchObject({ code: 'deadline_exceeded' });
    expect((await late)[0]?.shape).toEqual([100]);
    const again = ask(version, values, { deadlineAt: pool.now + 30 });
    again.catch(() => undefined);
    await pool.drain();
    await expect(again).rejects.toMatchObject({ code: 'deadline_exceeded' });
    expect(pool.runs.filter((run) => run.startedAt > pool.now - 60).length).toBeLessThan(8);
    expect([version.waiting, version.interactive.queue.rows, version.running]).toEqual([0, 0, 0]);
  });
});

describe('a request in pieces', () => {
  const many = Array.from({ length: 1_000 }, (_, i) => i);

  it('costs others no more than the pieces that wait, and counts as one', async () => {
    const version = pool.version('heavy', HEAVY);
    teach(version, HEAVY);
    const large = ask(version, many);
    await pool.run(15);
    const small = ask(version, [1], { deadlineAt: pool.now + 100 });
    await pool.drain();
    await expect(small).resolves.toHaveLength(1);
    await expect(large).resolves.toHaveLength(1);
    expect(version.statistics()).toMatchObject({ requests: 2, failures: 0, queueDepth: 0 });
    const late = ask(version, many, { deadlineAt: pool.now + 900 });
    late.catch(() => undefined);
    await pool.drain();
    await expect(late).rejects.toMatchObject({ code: 'deadline_exceeded' });
    expect(version.statistics()).toMatchObject({ requests: 2, failures: 1 });
  });

  it('fails when its version is closed between two pieces', async () => {
    const version = pool.version('heavy', HEAVY);
    teach(version, HEAVY);
    const large = ask(version, many);
    large.catch(() => undefined);
    await pool.run(15);
    version.refusal = new DomainError('model_not_ready', 'The model is being unloaded.');
    version.closed = true;
    await pool.drain();
    await expect(large).rejects.toMatchObject({ code: 'model_not_ready' });
    expect([version.waiting, version.running]).toEqual([0, 0]);
  });
});

describe('runners of their own', () => {
  it('leave the batches of others as large as they are', async () => {
    pool = new SimulatedPool(2);
    const flooded = pool.version('flooded', HEAVY, { batchable: false }, undefined, [0]);
    const light = pool.version('light', LIGHT, {}, undefined, [1]);
    for (const version of [flooded, light]) teach(version, version === light ? LIGHT : HEAVY);
    const load = flood(flooded, 50);
    for (let i = 0; i < 20; i++) {
      for (let n = 0; n < 12; n++) void ask(light, [n]);
      await pool.run(5);
    }
    load.stop();
    expect(new Set(runsOf('light').map((run) => run.rows))).toEqual(new Set([12]));
  });
});

describe('admission', () => {
  it('counts on all runners that can run a version', async () => {
    pool = new SimulatedPool(4);
    const version = pool.version('heavy', HEAVY);
    teach(version, HEAVY);
    const burst = Array.from({ length: 300 }, () => ask(version, [1], { deadlineAt: pool.now + 200 }));
    await pool.drain();
    await expect(Promise.all(burst)).resolves.toHaveLength(300);
  });

  it('refuses what would not be answered in time, and says when to come again', async () => {
    const version = pool.version('heavy', HEAVY);
    teach(version, HEAVY);
    const waiting = Array.from({ length: 300 }, () => ask(version, [1]));
    const within = (ms: number) => ask(version, [1], { deadlineAt: pool.now + ms });
    const refused = { code: 'queue_full', retryAfterSeconds: 1 };
    await expect(within(200)).rejects.toMatchObject(refused);
    waiting.push(within(1_000));
    await pool.drain();
    await expect(Promise.all(waiting)).resolves.toHaveLength(301);
  });

  it('bounds the work that waits, but for bulk requests and a few callers of a slow model', async () => {
    const slow: Cost = (rows) => 1000 * rows;
    const [heavy, slowest] = [pool.version('heavy', HEAVY), pool.version('slow', slow)];
    teach(heavy, HEAVY);
    teach(slowest, slow);
    const few = Array.from({ length: 10 }, () => ask(slowest, [1]));
    const waiting = Array.from({ length: 2600 }, () => ask(heavy, [1]).catch((error: unknown) => error));
    const bulk = Array.from({ length: 1000 }, () => ask(heavy, [1], { bulk: true }));
    await pool.drain();
    const refused = (await Promise.all(waiting)).filter((answer) => !Array.isArray(answer));
    expect(refused.length).toBe(2600 - 1024);
    expect(refused[0]).toMatchObject({ code: 'queue_full' });
    await expect(Promise.all([...few, ...bulk])).resolves.toHaveLength(1010);
    pool.options.queueRequests = 100_000;
    const patient = pool.version('patient', HEAVY);
    teach(patient, HEAVY);
    const all = Array.from({ length: 3600 }, () => ask(patient, [1]).catch((error: unknown) => error));
    await pool.drain();
    const late = (await Promise.all(all)).filter((answer) => !Array.isArray(answer));
    // Nine rows in ten milliseconds: some 1,800 in two seconds.
    expect(late.length).toBeGreaterThan(1700);
    expect(late.length).toBeLessThan(1900);
  });

  it('goes by what the queue really drained, other versions included', async () => {
    const [heavy, other] = [pool.version('heavy', HEAVY), pool.version('other', HEAVY)];
    for (const version of [heavy, other]) teach(version, HEAVY);
    const loads = [flood(heavy, 100), flood(other, 100)];
    await pool.run(2_000);
    // A hundred rows of which nine run in ten milliseconds, with the other version taking turns: twice a hundred and eleven.
    const within = (ms: number) => ask(heavy, [1], { deadlineAt: pool.now + ms });
    await expect(within(170)).rejects.toMatchObject({ code: 'queue_full' });
    const admitted = within(320);
    await pool.run(400);
    for (const load of loads) load.stop();
    await expect(admitted).resolves.toHaveLength(1);
  });

  it('is not misled by one run that was held up, but follows where they all are', async () => {
    let cost = HEAVY;
    const version = pool.version('heavy', (rows) => cost(rows));
    teach(version, HEAVY);
    const load = flood(version, 100);
    await pool.run(300);
    cost = () => 2_000;
    await pool.run(20);
    cost = HEAVY;
    await pool.run(2_000);
    const within = (ms: number) => ask(version, [1], { deadlineAt: pool.now + ms });
    const admitted = within(500);
    await pool.run(600);
    cost = (rows) => 10 * HEAVY(rows);
    await pool.run(3_000);
    await expect(admitted).resolves.toHaveLength(1);
    await expect(within(500)).rejects.toMatchObject({ code: 'queue_full' });
    load.stop();
  });

  it('takes any request that finds nothing before it', async () => {
    const version = pool.version('heavy', HEAVY);
    teach(version, HEAVY);
    const hopeless = ask(version, [1], { deadlineAt: pool.now + 0.5 });
    await pool.drain();
    await expect(hopeless).resolves.toHaveLength(1);
  });
});
