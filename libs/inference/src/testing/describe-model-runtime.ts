import type { Tensor } from '@sibyl/protocol';
import type { InferRequest, LoadOptions, ModelFile, ModelRuntime } from '../model-runtime';

/** A started runtime and a model for it that answers row by row. */
export interface ModelRuntimeFixture {
  readonly runtime: ModelRuntime;
  /** Takes rows of numbers and answers them with `answer`. */
  readonly model: ModelFile;
  readonly inputName: string;
  /** The inputs of one request whose rows begin with these numbers. */
  inputs(rows: readonly number[]): readonly Tensor[];
  /** What the first output holds for one row. */
  answer(row: number): readonly number[];
  /** Something that the runtime cannot load, if it can tell. */
  readonly broken?: ModelFile;
}

const OPTIONS: LoadOptions = { devicePolicy: 'gpu_preferred', batchable: true, maxBatchRows: 32, warmup: [] };

/** What every ModelRuntime promises, the fake included. */
export function describeModelRuntime(name: string, make: () => Promise<ModelRuntimeFixture>): void {
  describe(`${name} is a ModelRuntime`, () => {
    let fixture: ModelRuntimeFixture;
    let runtime: ModelRuntime;

    beforeAll(async () => {
      fixture = await make();
      runtime = fixture.runtime;
    });
    afterAll(() => runtime.close());

    const request = (rows: readonly number[]): InferRequest => {
      const deadlineAt = performance.now() + 20_000;
      return { inputs: fixture.inputs(rows), rows: rows.length, deadlineAt, aborted: false };
    };
    const numbers = (outputs: readonly Tensor[]): number[] => Array.from(outputs[0]?.data as Float32Array);
    const expected = (rows: readonly number[]): number[] => rows.flatMap((row) => [...fixture.answer(row)]);

    it('answers with the signature, the provider in use and the rows in their order', async () => {
      const model = await runtime.load(fixture.model, OPTIONS);
      expect(model.key).toBe(fixture.model.key);
      expect(model.execution).toEqual({ asked: ['cpu'], provider: 'cpu', shares: { cpu: 1 } });
      expect(model.signature.inputs.map((input) => input.name)).toEqual([fixture.inputName]);
      const outputs = await model.infer(request([3, 1, 2]));
      expect(outputs.map((output) => output.name)).toEqual(model.signature.outputs.map((output) => output.name));
      expect(outputs[0]?.shape[0]).toBe(3);
      expect(numbers(outputs)).toEqual(expected([3, 1, 2]));
    });

    it('gives each of many callers its own rows', async () => {
      const model = await runtime.load(fixture.model, OPTIONS);
      const asked = Array.from({ length: 100 }, (_, i) => Array.from({ length: 1 + (i % 4) }, (_row, j) => 10 * i + j));
      const answers = await Promise.all(asked.map((rows) => model.infer(request(rows))));
      expect(answers.map(numbers)).toEqual(asked.map(expected));
    });

    it('loads a key once, however many ask', async () => {
      const [one, two] = await Promise.all([
        runtime.load(fixture.model, OPTIONS),
        runtime.load(fixture.model, OPTIONS),
      ]);
      expect(one).toBe(two);
      expect(runtime.status()).toMatchObject({ ready: true, models: 1 });
    });

    it('counts what a model did', async () => {
      const model = await runtime.load(fixture.model, OPTIONS);
      const before = model.statistics().requests;
      await model.infer(request([1]));
      expect(model.statistics()).toMatchObject({ requests: before + 1, queueDepth: 0 });
    });

    it('never starts work whose deadline has passed or whose caller has hung up', async () => {
      const model = await runtime.load(fixture.model, OPTIONS);
      const before = model.statistics().requests;
      const late = { ...request([1]), deadlineAt: performance.now() - 1 };
      await expect(model.infer(late)).rejects.toMatchObject({ code: 'deadline_exceeded' });
      await expect(model.infer({ ...request([1]), aborted: true })).rejects.toThrow();
      expect(model.statistics().requests).toBe(before);
    });

    it('tries a model without loading it', async () => {
      const loadedBefore = runtime.status().models;
      const report = await runtime.trial(
        { ...fixture.model, key: 'tried' },
        {
          samples: [fixture.inputs([5]), fixture.inputs([6, 7])],
          probes: [fixture.inputs([1, 2])],
        },
      );
      expect(report.outputs.map(numbers)).toEqual([expected([5]), expected([6, 7])]);
      expect(report.durationsMs).toHaveLength(2);
      expect(report.provider).toBe('cpu');
      expect(report.signature.inputs.map((input) => input.name)).toEqual([fixture.inputName]);
      expect(runtime.status().models).toBe(loadedBefore);
    });

    it('refuses what cannot be loaded: model_not_ready, and model_rejected in a trial', async () => {
      if (fixture.broken === undefined) return;
      await expect(runtime.load(fixture.broken, OPTIONS)).rejects.toMatchObject({ code: 'model_not_ready' });
      await expect(runtime.trial(fixture.broken, { samples: [] })).rejects.toMatchObject({ code: 'model_rejected' });
      const model = await runtime.load(fixture.model, OPTIONS);
      expect(numbers(await model.infer(request([4])))).toEqual(expected([4]));
    });

    it('does not fall back where a GPU is required', async () => {
      const load = runtime.load({ ...fixture.model, key: 'needs-gpu' }, { ...OPTIONS, devicePolicy: 'gpu_required' });
      await expect(load).rejects.toMatchObject({ code: 'execution_provider_unavailable' });
    });

    it('takes nothing for an unloaded model, and can load it again', async () => {
      const model = await runtime.load(fixture.model, OPTIONS);
      await model.unload();
      await model.unload();
      await expect(model.infer(request([1]))).rejects.toMatchObject({ code: 'model_not_ready' });
      const again = await runtime.load(fixture.model, OPTIONS);
      expect(again).not.toBe(model);
      expect(numbers(await again.infer(request([2])))).toEqual(expected([2]));
    });

    it('loads anew beside what is loaded, which answers until it is unloaded and hands on what comes too late', async () => {
      const before = await runtime.load(fixture.model, OPTIONS);
      const fresh = await runtime.load(fixture.model, { ...OPTIONS, anew: true });
      expect(fresh).not.toBe(before);
      expect(await runtime.load(fixture.model, OPTIONS)).toBe(fresh);
      const underWay = [1, 2, 3].map((row) => before.infer(request([row])));
      const unloading = before.unload();
      const late = before.infer(request([4]));
      await unloading;
      expect((await Promise.all([...underWay, late])).map(numbers)).toEqual([1, 2, 3, 4].map((row) => expected([row])));
      expect(numbers(await before.infer(request([5])))).toEqual(expected([5]));
      await before.unload();
      expect(numbers(await fresh.infer(request([6])))).toEqual(expected([6]));
      expect(runtime.status().models).toBe(1);
    });

    it('refuses everything once it is closed', async () => {
      const model = await runtime.load(fixture.model, OPTIONS);
      await runtime.close();
      await runtime.close();
      expect(runtime.status().ready).toBe(false);
      const closed = { code: 'shutting_down' };
      await expect(model.infer(request([1]))).rejects.toMatchObject(closed);
      await expect(runtime.load({ ...fixture.model, key: 'later' }, OPTIONS)).rejects.toMatchObject(closed);
      await expect(runtime.trial(fixture.model, { samples: [] })).rejects.toMatchObject(closed);
    });
  });
}
