import { DomainError } from '@sibyl/kernel';
import { FakeClock } from '@sibyl/kernel/testing';
import { FakeRuntime, type FakeModel } from '@sibyl/inference/testing';
import {
  isServable,
  type AliasEvent,
  type ModelVersion,
  type RegistrySnapshot,
  type SnapshotAlias,
} from '@sibyl/registry';
import { aModelVersion } from '@sibyl/registry/testing';
import { ManifestDefaults } from './feature-reader';
import type { JsonObject } from './feature-rows';
import { ModelReconciler } from './model-reconciler';
import { PredictionOptions } from './prediction-options';
import { PredictCall } from './predict-call';
import type { RowRequest } from './call-parts';
import { PredictionService } from './prediction-service';
import type { RowAnswer, TensorAnswer } from './row-inference';
import { Promotion } from './promotion';
import { ServedVersion } from './served-version';

/** Answers the sum of each row. */
const SUM: FakeModel = {
  signature: {
    inputs: [{ name: 'features', datatype: 'FP32', shape: [-1, 2] }],
    outputs: [{ name: 'variable', datatype: 'FP32', shape: [-1, 1] }],
  },
  respond: ([features]) => {
    const rows = features?.shape[0] ?? 0;
    const data = Float32Array.from(
      { length: rows },
      (_, i) => Number(features?.data[2 * i]) + Number(features?.data[2 * i + 1]),
    );
    return [{ name: 'variable', datatype: 'FP32', shape: [rows, 1], data }];
  },
};

const DOCUMENT = {
  task: 'regression',
  metrics: { accuracy: 0.5 },
  training_date: '2024-01-01T00:00:00Z',
  inputs: [{ name: 'features', datatype: 'FP32', shape: [-1, 2], columns: ['a', 'b'] }],
  features: [{ name: 'a' }, { name: 'b', default: 10 }],
  decision: { value_output: 'variable' },
};

const digest = (n: number): ModelVersion['digest'] => `sha256:${String(n).padStart(64, '0')}`;
const version = (name: string, n: number, parts: Parameters<typeof aModelVersion>[0] = {}): ModelVersion =>
  aModelVersion({ model: 'm', version: name, digest: digest(n), arrival: n, document: DOCUMENT, ...parts });

class Fixture {
  readonly clock = new FakeClock();
  readonly runtime = new FakeRuntime(SUM);
  readonly options = new PredictionOptions();
  readonly warnings: string[] = [];
  versions: ModelVersion[] = [version('1', 1), version('2', 2)];
  warm: string[] = [];
  aliases: SnapshotAlias[] = [{ alias: 'production', version: '1', revision: 1, previous: null }];
  broken: Error | undefined;
  damaged: DomainError | undefined;
  refused: DomainError | undefined;
  trust = 'these keys';
  checks = 0;
  snapshots = 0;
  samples: () => Promise<never[]> = () => Promise.resolve([]);
  readonly reconciler = new ModelReconciler({
    source: {
      snapshot: () => this.snapshot(),
      checkSignature: () => {
        this.checks++;
        return this.refused ? Promise.reject(this.refused) : Promise.resolve();
      },
      signatureTrust: () => Promise.resolve(this.trust),
      artifactFolder: (of) => (this.damaged ? Promise.reject(this.damaged) : Promise.resolve(`/packages/${of}`)),
      modelFile: (folder: string) => Promise.resolve(`${folder}/model.onnx`),
      recheckArtifact: () => Promise.resolve(),
      sampleInputs: () => this.samples(),
    },
    runtime: this.runtime,
    clock: this.clock,
    options: this.options,
    log: { info: () => undefined, warn: (_, message) => void this.warnings.push(message) },
  });
  readonly service = new PredictionService(this.reconciler, new ManifestDefaults(), this.clock, {
    awaitingRequests: 3,
    awaitingBytes: 1_000,
  });

  call(ms = 1000): PredictCall {
    return new PredictCall(this.clock.monotonic() + ms);
  }

  predictRow(served: ServedVersion, row: RowRequest, call: PredictCall): Promise<RowAnswer> {
    return new Promise((succeeded, failed) => this.service.submitRow(served, row, call, { succeeded, failed }));
  }

  predictTensors(served: ServedVersion, inputs: JsonObject, rowsMax: number): Promise<TensorAnswer> {
    return new Promise((succeeded, failed) =>
      this.service.submitTensors(served, { inputs, call: this.call(), rowsMax }, { succeeded, failed }),
    );
  }

  private snapshot(): Promise<RegistrySnapshot> {
    this.snapshots++;
    if (this.broken) return Promise.reject(this.broken);
    const servable = this.versions.filter(({ status }) => isServable(status));
    const latest = servable.toSorted((a, b) => a.arrival - b.arrival).at(-1)?.version;
    const { versions, aliases, warm } = this;
    return Promise.resolve({ models: [{ name: 'm', versions, aliases, warm, ...(latest ? { latest } : {}) }] });
  }
}

let fixture: Fixture;
beforeEach(() => (fixture = new Fixture()));
afterEach(() => fixture.reconciler.stop());

const code = async (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'no error',
    (error: unknown) => (error instanceof DomainError ? error.code : 'another error'),
  );

describe('ModelReconciler', () => {
  it('is ready when what aliases point at and the latest are loaded', async () => {
    const { reconciler, runtime } = fixture;
    expect(reconciler.missing()).toHaveLength(1);
    expect(() => reconciler.resolve('m', undefined)).toThrow(expect.objectContaining({ code: 'model_not_ready' }));
    await reconciler.start();
    expect(() => reconciler.resolve('n', undefined)).toThrow(expect.objectContaining({ code: 'model_not_found' }));
    expect(reconciler.missing()).toEqual([]);
    expect(runtime.loads).toEqual([`m@1@${digest(1)}`, `m@2@${digest(2)}`]);
    expect(reconciler.table.resolve('m', undefined)).toMatchObject({
      alias: 'production',
      served: { version: '1', state: 'ready' },
    });
  });

  it('tells the runtime what it loads, what that is expected to take, and whether there is memory for more', async () => {
    const { reconciler, runtime, options } = fixture;
    const file = (path: string, bytes: number): ModelVersion['files'][number] => ({
      path,
      sha256: '0'.repeat(64),
      bytes,
    });
    const trial = { provider: 'cpu', loadMs: 90, loadCpuMs: 70, memoryBytes: 5000, observedOutputs: [] };
    const report = { passed: true, checkedAt: '', reasons: [], notes: [], ignoredFiles: [], trial };
    const files = [file('model.onnx', 100), file('weights.data', 2000), file('golden.json', 7)];
    const document = { ...DOCUMENT, runtime: { batch_budget_ms: 2.5, max_batch: 8 } };
    const onnx = { ...aModelVersion().onnx, externalFiles: ['weights.data'] };
    fixture.versions = [version('1', 1, { files, report, document, onnx })];
    const load = jest.spyOn(runtime, 'load');
    await reconciler.start();
    const [model, given] = load.mock.calls[0]!;
    const folder = `/packages/${digest(1)}`;
    const loaded = [`${folder}/model.onnx`, `${folder}/weights.data`];
    expect(model).toMatchObject({ key: `m@1@${digest(1)}`, path: loaded[0], digest: digest(1), files: loaded });
    expect(given).toMatchObject({ batchBudgetMs: 2.5, maxBatchRows: 8 });
    expect(given.expected).toEqual({ loadCpuMs: 70, memoryBytes: 5000, fileBytes: 2100 });
    const left = options.modelMemoryBytes - 1024;
    expect([given.mayGrow?.(left), given.mayGrow?.(left + 1)]).toEqual([true, false]);
  });

  it('loads what aliases need and, of the rest, what there is room for; a request makes room for more', async () => {
    const { reconciler, runtime, options } = fixture;
    options.modelMemoryBytes = 1024;
    await reconciler.start();
    const [first, second] = ['1', '2'].map((name) => reconciler.table.resolve('m', name).served);
    expect([first?.state, second?.state]).toEqual(['ready', 'unloaded']);
    // It answers for what it should; what found no room is no reason to wait.
    expect(reconciler.missing()).toEqual([]);
    const refused = reconciler.ready(second!, fixture.clock.monotonic() + 1000);
    await expect(refused).rejects.toMatchObject({ code: 'model_not_ready' });
    fixture.aliases = [];
    fixture.clock.advance(options.loadRetryMs);
    await reconciler.refresh();
    await reconciler.ready(second!, fixture.clock.monotonic() + 1000);
    expect([first?.state, second?.state]).toEqual(['unloaded', 'ready']);
    // The second was tried at the start too: only a load tells what a version takes.
    expect(runtime.loads).toEqual([`m@1@${digest(1)}`, `m@2@${digest(2)}`, `m@2@${digest(2)}`]);
  });

  it('loads anew what the runtime has given up, when somebody asks for it', async () => {
    const { reconciler, runtime } = fixture;
    await reconciler.start();
    const { served } = reconciler.table.resolve('m', '1');
    const before = served.loaded;
    Object.assign(before!, { givenUp: true });
    expect(
      await fixture.predictRow(served, { features: { a: 1, b: 2 }, query: {}, pointer: '' }, fixture.call()),
    ).toMatchObject({ json: '{"value":3}' });
    expect(served.loaded).not.toBe(before);
    expect(runtime.unloads).toEqual([`m@1@${digest(1)}`]);
  });

  it('loads a version whose golden samples cannot be read', async () => {
    fixture.samples = () => Promise.reject(new Error('not readable'));
    await fixture.reconciler.start();
    expect(fixture.reconciler.table.resolve('m', '1').served.state).toBe('ready');
    expect(fixture.warnings).toContain('golden samples could not be read: warmed without them');
  });

  it('keeps loaded what the operator named', async () => {
    const { reconciler, options } = fixture;
    Object.assign(options, { modelMemoryBytes: 1024, keepLoaded: ['m@2'] });
    fixture.aliases = [];
    await reconciler.start();
    const [first, second] = ['1', '2'].map((name) => reconciler.table.resolve('m', name).served);
    expect(second?.state).toBe('ready');
    await expect(reconciler.ready(first!, fixture.clock.monotonic() + 1000)).rejects.toMatchObject({
      code: 'model_not_ready',
    });
  });

  it('keeps loaded what says so in its manifest, until it is archived', async () => {
    const { reconciler, options, runtime, clock } = fixture;
    Object.assign(options, { modelMemoryBytes: 1024, modelIdleMs: 1000 });
    const pinned = { ...DOCUMENT, runtime: { keep_loaded: true } };
    fixture.versions = [version('1', 1, { document: pinned }), version('2', 2)];
    fixture.aliases = [];
    await reconciler.start();
    const [first, second] = ['1', '2'].map((name) => reconciler.table.resolve('m', name).served);
    expect([first?.state, second?.state]).toEqual(['ready', 'unloaded']);
    await expect(reconciler.ready(second!, clock.monotonic() + 1000)).rejects.toMatchObject({
      code: 'model_not_ready',
    });
    clock.advance(options.loadRetryMs);
    await reconciler.refresh();
    expect(first?.state).toBe('ready');
    fixture.versions = [version('1', 1, { document: pinned, status: 'archived' }), version('2', 2)];
    clock.advance(options.loadRetryMs);
    await reconciler.refresh();
    await reconciler.ready(second!, clock.monotonic() + 1000);
    expect(second?.state).toBe('ready');
    expect(runtime.unloads.at(-1)).toBe(`m@1@${digest(1)}`);
  });

  it('tells each request why a load failed, not only the one that waited for it', async () => {
    const { reconciler, clock } = fixture;
    fixture.versions = [version('1', 1, { document: { ...DOCUMENT, runtime: { device_policy: 'gpu_required' } } })];
    await reconciler.start();
    const { served } = reconciler.table.resolve('m', '1');
    for (let request = 0; request < 2; request++)
      expect(await code(reconciler.ready(served, clock.monotonic() + 1000))).toBe('execution_provider_unavailable');
    expect(served).toMatchObject({ state: 'unavailable', reason: 'The fake machine has no GPU.' });
  });

  it('keeps what is loaded when the registry changes, and loads what an alias moves to', async () => {
    const { reconciler } = fixture;
    await reconciler.start();
    const before = reconciler.table.resolve('m', '2').served;
    fixture.versions.push(version('3', 3));
    fixture.aliases = [{ alias: 'production', version: '2', revision: 2, previous: null }];
    await reconciler.refresh();
    expect(reconciler.table.resolve('m', undefined).served).toBe(before);
    expect(reconciler.table.resolve('m', 'latest').served.version).toBe('3');
    await reconciler.ready(reconciler.table.resolve('m', '3').served, fixture.clock.monotonic() + 1000);
    expect(reconciler.missing()).toEqual([]);
  });

  it('stays ready when a version arrives that loads slowly or not at all', async () => {
    const { reconciler, runtime } = fixture;
    await reconciler.start();
    runtime.define(`m@3@${digest(3)}`, { ...SUM, loadError: new Error('broken') });
    fixture.versions.push(version('3', 3));
    await reconciler.refresh();
    expect(reconciler.resolve('m', 'latest').served.version).toBe('3');
    expect(reconciler.missing()).toEqual([]);
  });

  it('does not wait for a latest version that nobody is sent to', async () => {
    const { reconciler, runtime } = fixture;
    runtime.define(`m@2@${digest(2)}`, { ...SUM, loadError: new Error('broken') });
    await reconciler.start();
    expect(reconciler.missing()).toEqual([]);
  });

  it('ends versions that may not serve any more, and takes replaced bytes for another version', async () => {
    const { reconciler, runtime } = fixture;
    await reconciler.start();
    fixture.versions = [version('1', 1), version('2', 2, { status: 'archived' })];
    await reconciler.refresh();
    expect(runtime.unloads).toEqual([`m@2@${digest(2)}`]);
    expect(() => reconciler.table.resolve('m', '2')).toThrow(/archived/);
    fixture.versions = [version('1', 9)];
    await reconciler.refresh();
    await reconciler.ready(reconciler.table.resolve('m', '1').served, fixture.clock.monotonic() + 1000);
    expect(runtime.loads.at(-1)).toBe(`m@1@${digest(9)}`);
    expect(runtime.unloads).toContain(`m@1@${digest(1)}`);
  });

  it('goes on with the last table when the registry cannot be read', async () => {
    const { reconciler } = fixture;
    await reconciler.start();
    fixture.broken = new DomainError('database_unavailable', 'The database cannot be reached.');
    await reconciler.follow();
    expect(fixture.warnings).toContain('the registry could not be read; the last serving table goes on');
    expect(
      (await fixture.predictRow(reconciler.table.resolve('m', '1').served, row({ a: 1, b: 2 }), fixture.call())).json,
    ).toBe('{"value":3}');
  });

  it('answers a refresh that comes while one runs with one more run', async () => {
    await Promise.all([fixture.reconciler.refresh(), fixture.reconciler.refresh(), fixture.reconciler.refresh()]);
    expect(fixture.snapshots).toBe(2);
  });

  it('does not try again at once what would not load, and says why', async () => {
    const { reconciler, runtime, clock } = fixture;
    runtime.define(`m@1@${digest(1)}`, { ...SUM, loadError: new Error('/secret/path is broken') });
    await reconciler.start();
    const { served } = reconciler.table.resolve('m', '1');
    expect(served).toMatchObject({ state: 'unavailable', reason: 'The model could not be loaded.' });
    expect(reconciler.missing()).toHaveLength(1);
    expect(await code(reconciler.ready(served, clock.monotonic() + 1000))).toBe('model_not_ready');
    runtime.define(`m@1@${digest(1)}`, SUM);
    clock.advance(fixture.options.loadRetryMs);
    await reconciler.ready(served, clock.monotonic() + 1000);
    expect(reconciler.missing()).toEqual([]);
  });

  describe('where the key that signed a version is trusted no more', () => {
    const refusal = (why: string): DomainError => new DomainError('version_not_servable', why);
    /** Reads the registry each two seconds, for so long; answers how often a load was tried. */
    async function follow(seconds: number): Promise<number> {
      const before = fixture.checks;
      for (let i = 0; i < seconds; i += 2) {
        fixture.clock.advance(2000);
        await fixture.reconciler.refresh();
        await new Promise((resolve) => setImmediate(resolve));
      }
      return fixture.checks - before;
    }
    const warned = (): number => fixture.warnings.filter((told) => told === 'model could not be loaded').length;
    beforeEach(async () => {
      fixture.versions = [version('1', 1)];
      fixture.refused = refusal('its signer is not trusted');
      await fixture.reconciler.start();
    });

    it('tries it later and later, and says why once for each reason', async () => {
      expect([fixture.checks, warned()]).toEqual([1, 1]);
      expect(await follow(600)).toBeLessThan(9);
      expect(await follow(600)).toBeLessThanOrEqual(3);
      expect(warned()).toBe(1);
      fixture.refused = refusal('its signer has expired');
      expect(await follow(600)).toBeGreaterThan(0);
      expect(warned()).toBe(2);
    });

    it.each([
      ['the keys or the policy', () => (fixture.trust = 'other keys')],
      ['its row in the registry', () => (fixture.versions = [version('1', 1, { revision: 9 })])],
    ])('tries it at once where %s changed', async (_, change) => {
      await follow(600);
      fixture.refused = undefined;
      change();
      expect(await follow(2)).toBe(1);
      expect(fixture.reconciler.missing()).toEqual([]);
    });

    it('tries what fails by accident as soon as ever', async () => {
      fixture.refused = undefined;
      fixture.damaged = new DomainError('model_not_ready', 'The store is away.');
      await follow(600);
      expect(await follow(60)).toBe(10);
      expect(warned()).toBe(2);
    });
  });

  it('loads nothing into the memory of a version that still answers its last requests', async () => {
    const { options, reconciler, runtime } = fixture;
    options.modelMemoryBytes = 2 * 1024;
    await reconciler.start();
    const leaving = reconciler.table.resolve('m', '2').served;
    expect(leaving.state).toBe('ready');
    let drained = (): void => undefined;
    Object.assign(leaving.loaded!, { unload: () => new Promise<void>((resolve) => (drained = resolve)) });
    const unloading = reconciler.unload(leaving);
    fixture.versions = [...fixture.versions, version('3', 3)];
    await reconciler.refresh();
    const loading = reconciler.ready(reconciler.table.resolve('m', '3').served, fixture.clock.monotonic() + 10_000);
    await new Promise(setImmediate);
    expect(runtime.loads).not.toContain(`m@3@${digest(3)}`);
    drained();
    await Promise.all([unloading, loading]);
    expect(runtime.loads).toContain(`m@3@${digest(3)}`);
    expect(leaving.state).toBe('unloaded');
  });

  it('keeps a version that was unloaded by hand out until somebody asks for it', async () => {
    const { reconciler, runtime } = fixture;
    await reconciler.start();
    const { served } = reconciler.table.resolve('m', '1');
    await reconciler.unload(served);
    await reconciler.unload(served);
    await reconciler.refresh();
    expect(served.state).toBe('unloaded');
    expect(reconciler.missing()).toEqual([]);
    expect((await fixture.predictRow(served, row({ a: 1 }), fixture.call())).json).toBe('{"value":11}');
    expect(runtime.loads.filter((key) => key.startsWith('m@1@'))).toHaveLength(2);
  });

  describe('told to reload', () => {
    it('loads what serves anew, answers meanwhile, and unloads what it replaced', async () => {
      const { reconciler, runtime } = fixture;
      await reconciler.start();
      const { served } = reconciler.table.resolve('m', '1');
      const before = served.loaded;
      runtime.hold();
      const reload = reconciler.reload('m');
      await new Promise(setImmediate);
      expect([served.loaded, served.state]).toEqual([before, 'ready']);
      runtime.release();
      expect(await reload).toEqual([
        { model: 'm', version: '1', outcome: 'reloaded' },
        { model: 'm', version: '2', outcome: 'reloaded' },
      ]);
      expect(served.loaded).not.toBe(before);
      expect(runtime.unloads).toEqual([`m@1@${digest(1)}`, `m@2@${digest(2)}`]);
      expect((await fixture.predictRow(served, row({ a: 1 }), fixture.call())).json).toBe('{"value":11}');
    });

    it('keeps what serves where its bytes are damaged, and says so', async () => {
      const { reconciler, runtime } = fixture;
      await reconciler.start();
      const { served } = reconciler.table.resolve('m', '1');
      const before = served.loaded;
      fixture.damaged = new DomainError('model_not_ready', 'damaged');
      expect(await reconciler.reload('m')).toContainEqual({
        ...{ model: 'm', version: '1', outcome: 'kept', reason: 'damaged' },
      });
      expect([served.loaded, served.state, runtime.unloads]).toEqual([before, 'ready', []]);
    });

    it('keeps what serves where there is no memory for a second copy', async () => {
      const { options, reconciler } = fixture;
      await reconciler.start();
      const { served } = reconciler.table.resolve('m', '1');
      const before = served.loaded;
      options.modelMemoryBytes = 1024;
      expect((await reconciler.reload('m'))[0]).toMatchObject({ version: '1', outcome: 'kept' });
      expect(served.loaded).toBe(before);
    });

    it('brings nothing back that was unloaded while it was loaded anew', async () => {
      const { reconciler, runtime } = fixture;
      await reconciler.start();
      const { served } = reconciler.table.resolve('m', '1');
      runtime.hold();
      const reload = reconciler.reload('m');
      await new Promise(setImmediate);
      await reconciler.unload(served);
      runtime.release();
      expect((await reload)[0]).toMatchObject({ version: '1', outcome: 'kept' });
      expect([served.loaded, served.state]).toEqual([undefined, 'unloaded']);
    });
  });

  it('reloads on demand, one model or all, and knows what it does not know', async () => {
    const { reconciler, runtime, clock } = fixture;
    runtime.define(`m@1@${digest(1)}`, { ...SUM, loadError: new Error('broken') });
    await reconciler.start();
    runtime.define(`m@1@${digest(1)}`, SUM);
    clock.advance(1);
    await reconciler.reload('m');
    expect(reconciler.missing()).toEqual([]);
    await reconciler.reload(undefined);
    expect(await code(reconciler.reload('n'))).toBe('model_not_found');
    expect(await code(reconciler.known('m', '7'))).toBe('version_not_found');
  });
});

const row = (features: Record<string, unknown>) => ({ features, query: {}, pointer: '/features' });

describe('PredictionService', () => {
  let served: ServedVersion;
  beforeEach(async () => {
    await fixture.reconciler.start();
    served = fixture.service.resolve('m', '1').served;
  });

  it('says which features a default stood in for', async () => {
    expect(await fixture.predictRow(served, row({ a: 1, b: 2 }), fixture.call())).toEqual({
      json: '{"value":3}',
      defaulted: undefined,
      value: 3,
    });
    expect(await fixture.predictRow(served, row({ a: 1 }), fixture.call())).toMatchObject({
      json: '{"value":11}',
      fill: { defaulted: ['b'] },
    });
    expect(JSON.parse(served.infoJson)).toEqual({
      name: 'm',
      version: '1',
      training_date: '2024-01-01T00:00:00Z',
      accuracy: 0.5,
    });
  });

  it('names all features that nobody has', async () => {
    expect(await code(fixture.predictRow(served, row({}), fixture.call()))).toBe('incomplete_features');
  });

  it('lets a row that the model cannot run fail alone', async () => {
    const runs: number[] = [];
    fixture.runtime.define(`m@1@${digest(1)}`, {
      ...SUM,
      respond: (inputs) => {
        const { shape, data } = inputs[0]!;
        runs.push(shape[0] ?? 0);
        if ([...(data as Float32Array)].includes(13)) throw new DomainError('model_crashed_on_input', 'It ended.');
        return SUM.respond(inputs);
      },
    });
    await fixture.reconciler.unload(served);
    const answers = await fixture.service.predictRows(
      served,
      [row({ a: 1 }), row({ a: 13 }), row({ a: 'x' }), row({ a: 2, b: 2 })],
      fixture.call(),
    );
    expect(answers.map((answer) => (answer instanceof DomainError ? answer.code : answer.json))).toEqual([
      '{"value":11}',
      'model_crashed_on_input',
      'input_type_mismatch',
      '{"value":4}',
    ]);
    expect(runs).toEqual([3, 1, 1, 1]);
  });

  it('answers rows together, each with its own fate', async () => {
    const answers = await fixture.service.predictRows(
      served,
      [row({ a: 1 }), row({ a: 'x' }), row({}), row({ a: 2, b: 2 })],
      fixture.call(),
    );
    expect(answers.map((answer) => (answer instanceof DomainError ? answer.code : answer.json))).toEqual([
      '{"value":11}',
      'input_type_mismatch',
      'incomplete_features',
      '{"value":4}',
    ]);
    expect(await fixture.service.predictRows(served, [row({})], fixture.call())).toEqual([
      expect.objectContaining({ code: 'incomplete_features' }),
    ]);
  });

  it('fails only the rows whose answers are not finite', async () => {
    const answers = await fixture.service.predictRows(
      served,
      [row({ a: 3.4e38, b: 3.4e38 }), row({ a: 1, b: 1 })],
      fixture.call(),
    );
    expect(answers.map((answer) => (answer instanceof DomainError ? answer.code : answer.json))).toEqual([
      'model_output_invalid',
      '{"value":2}',
    ]);
  });

  it('answers tensors with tensors, and decides where there is one row', async () => {
    expect(await fixture.predictTensors(served, { features: [[1, 2]] }, 2)).toEqual({
      outputsJson: '{"variable":[[3]]}',
      prediction: { json: '{"value":3}', value: 3 },
    });
    const two = await fixture.predictTensors(
      served,
      {
        features: [
          [1, 2],
          [3, 4],
        ],
      },
      2,
    );
    expect(two).toEqual({ outputsJson: '{"variable":[[3],[7]]}', prediction: undefined });
  });

  it('waits for a version that is being loaded, up to the deadline', async () => {
    await fixture.reconciler.unload(served);
    fixture.runtime.hold();
    const late = fixture.predictRow(served, row({ a: 1 }), fixture.call(20));
    expect(await code(late)).toBe('model_not_ready');
    const inTime = fixture.predictRow(served, row({ a: 1 }), fixture.call(10_000));
    fixture.runtime.release();
    expect((await inTime).json).toBe('{"value":11}');
  });

  it('lets so many requests wait for a load, and no more', async () => {
    await fixture.reconciler.unload(served);
    fixture.runtime.hold();
    const waiting = Array.from({ length: 5 }, () => fixture.predictRow(served, row({ a: 1 }), fixture.call()));
    const codes = Promise.all(
      waiting.map((answer) =>
        answer.then(
          () => 'answered',
          () => code(answer),
        ),
      ),
    );
    expect(fixture.service.refusal(served, fixture.call())?.code).toBe('queue_full');
    fixture.runtime.release();
    expect(await codes).toEqual(['answered', 'answered', 'answered', 'queue_full', 'queue_full']);
    expect(fixture.service.refusal(served, fixture.call())).toBeUndefined();
  });

  it('drops what waits when the caller hangs up', () => {
    const call = fixture.call();
    const first = call.request([], 0);
    call.abort();
    expect([first.aborted, call.request([], 0).aborted]).toEqual([true, true]);
  });

  it('asks one by one where rows cannot be stacked', async () => {
    fixture.versions = [
      version('1', 5, {
        signature: { ...SUM.signature, inputs: [{ name: 'features', datatype: 'FP32', shape: [1, 2] }] },
        document: { ...DOCUMENT, inputs: [{ name: 'features', datatype: 'FP32', shape: [1, 2], columns: ['a', 'b'] }] },
      } as Partial<ModelVersion>),
      version('2', 6, {
        signature: { ...SUM.signature, inputs: [{ name: 'features', datatype: 'FP32', shape: [-1, -1] }] },
        document: { task: 'regression', inputs: [{ name: 'features', datatype: 'FP32', shape: [-1, -1] }] },
      } as Partial<ModelVersion>),
    ];
    await fixture.reconciler.refresh();
    const fixed = fixture.service.resolve('m', '1').served;
    const answers = await fixture.service.predictRows(fixed, [row({ a: 1, b: 2 }), row({ a: 'x' })], fixture.call());
    expect(answers.map((answer) => (answer instanceof DomainError ? answer.code : answer.json))).toEqual([
      '{"value":3}',
      'input_type_mismatch',
    ]);
    const dynamic = fixture.service.resolve('m', '2').served;
    expect((await fixture.predictRow(dynamic, row({ features: [4, 5] }), fixture.call())).json).toBe('{"value":9}');
    expect(await code(fixture.predictRow(dynamic, row({}), fixture.call()))).toBe('incomplete_features');
  });
});

describe('what a rollback would lead to', () => {
  const ALIASED = [{ alias: 'production', version: '2', revision: 2, previous: '1' }];
  const state = (name: string): string => fixture.reconciler.table.resolve('m', name).served.state;
  const settle = async (): Promise<void> => {
    await fixture.reconciler.refresh();
    for (let i = 0; i < 50; i++) await Promise.resolve();
  };

  it('is loaded when everything else is, and does not keep a start from being ready', async () => {
    fixture.aliases = ALIASED;
    await fixture.reconciler.start();
    expect([fixture.reconciler.missing(), fixture.runtime.loads]).toEqual([[], [`m@2@${digest(2)}`]]);
    await settle();
    expect(fixture.runtime.loads).toEqual([`m@2@${digest(2)}`, `m@1@${digest(1)}`]);
    expect(state('1')).toBe('ready');
  });

  it('and what the policy keeps warm beside it are loaded, and stay when nobody asks for them', async () => {
    const { reconciler, options, clock } = fixture;
    fixture.versions = ['1', '2', '3'].map((name) => version(name, Number(name)));
    fixture.aliases = [{ alias: 'production', version: '3', revision: 3, previous: '2' }];
    fixture.warm = ['1'];
    options.modelIdleMs = 1000;
    await reconciler.start();
    await reconciler.refresh();
    await settle();
    clock.advance(5000);
    await reconciler.refresh();
    await settle();
    expect([state('1'), state('2'), state('3')]).toEqual(['ready', 'ready', 'ready']);
    fixture.warm = [];
    await reconciler.refresh();
    await settle();
    expect([state('1'), state('2'), state('3')]).toEqual(['unloaded', 'ready', 'ready']);
  });

  it('stays when nobody asks for it and another version needs memory, up to a version that is promoted', async () => {
    const { reconciler, options, clock } = fixture;
    const files = [{ path: 'model.onnx', sha256: '0'.repeat(64), bytes: 1024 }];
    fixture.versions = ['1', '2', '3', '4'].map((name) =>
      version(name, Number(name), { files, arrival: name === '2' ? 9 : 1 }),
    );
    options.modelMemoryBytes = 2500; // two of them
    options.modelIdleMs = 1000;
    fixture.aliases = ALIASED;
    await reconciler.start();
    await settle();
    clock.advance(5000);
    await settle();
    expect([state('1'), state('2')]).toEqual(['ready', 'ready']);
    const asked = reconciler.table.resolve('m', '3').served;
    expect(await code(reconciler.ready(asked, clock.monotonic() + 1000))).toBe('model_not_ready');
    expect(state('1')).toBe('ready');
    await reconciler.prewarm(reconciler.table.resolve('m', '4').served, 1000);
    expect([state('1'), state('2'), state('4')]).toEqual(['unloaded', 'ready', 'ready']);
    // Until the alias is there, nothing takes its place.
    expect(await code(reconciler.ready(asked, clock.monotonic() + 1000))).toBe('model_not_ready');
    clock.advance(6000);
    await reconciler.ready(asked, clock.monotonic() + 1000);
    expect(state('4')).toBe('unloaded');
  });
});

describe('Promotion', () => {
  const actor = { type: 'system' as const, id: 'test', name: 'test' };
  const move = { model: 'm', alias: 'production', version: '2', reason: 'better', ifMatch: '"1"' };
  const event = {} as AliasEvent;

  it('warms the version, moves the alias, then switches', async () => {
    await fixture.reconciler.start();
    await fixture.reconciler.unload(fixture.reconciler.table.resolve('m', '2').served);
    let loadedAtMove = false;
    const others: string[] = [];
    const elsewhere = {
      warm: (_: string, name: string) => Promise.resolve(void others.push(`warm ${name}`)),
      follow: () => Promise.resolve(void others.push('follow')),
    };
    const aliases = {
      foresee: () => Promise.resolve(),
      move: () => {
        others.push('move');
        loadedAtMove = fixture.reconciler.table.resolve('m', '2').served.loaded !== undefined;
        fixture.aliases = [{ alias: 'production', version: '2', revision: 2, previous: null }];
        return Promise.resolve(event);
      },
      foreseeRollback: () => Promise.resolve('1'),
      rollback: () => {
        others.push('move back');
        loadedAtMove = fixture.reconciler.table.resolve('m', '1').served.loaded !== undefined;
        fixture.aliases = [{ alias: 'production', version: '1', revision: 3, previous: null }];
        return Promise.resolve(event);
      },
    };
    const promotion = new Promotion(aliases, fixture.reconciler, elsewhere, fixture.options, new ManifestDefaults());
    await promotion.promote(actor, move, () => Promise.resolve());
    expect(loadedAtMove).toBe(true);
    expect(fixture.reconciler.table.resolve('m', undefined).served.version).toBe('2');
    // As after a restart: nobody has asked for the version before.
    await fixture.reconciler.unload(fixture.reconciler.table.resolve('m', '1').served);
    loadedAtMove = false;
    await promotion.rollback(actor, { model: 'm', alias: 'production', reason: 'worse', ifMatch: '"2"' }, () =>
      Promise.resolve(),
    );
    expect(loadedAtMove).toBe(true);
    expect(fixture.reconciler.table.resolve('m', undefined).served.version).toBe('1');
    expect(others).toEqual(['warm 2', 'move', 'follow', 'warm 1', 'move back', 'follow']);
  });

  it('does not look again where a notification was quicker, and does where it only came between', async () => {
    await fixture.reconciler.start();
    let looks: Promise<void> = Promise.resolve();
    const aliases = {
      foresee: () => Promise.resolve(),
      foreseeRollback: () => Promise.resolve('1'),
      rollback: () => Promise.reject(new Error('not asked for')),
      move: (_: unknown, { reason }: { reason: string }) => {
        const revision = reason === 'told' ? 2 : 3;
        // What is looked up first has this change, or only the one before.
        if (reason === 'told') fixture.aliases = [{ alias: 'production', version: '2', revision, previous: '1' }];
        looks = fixture.reconciler.follow();
        if (reason !== 'told') fixture.aliases = [{ alias: 'production', version: '1', revision, previous: '2' }];
        return Promise.resolve({ model: 'm', alias: 'production', revision } as AliasEvent);
      },
    };
    const elsewhere = { warm: () => Promise.resolve(), follow: () => Promise.resolve() };
    const promotion = new Promotion(aliases, fixture.reconciler, elsewhere, fixture.options, new ManifestDefaults());
    let before = fixture.snapshots;
    await promotion.promote(actor, { ...move, reason: 'told' }, () => Promise.resolve());
    expect(fixture.reconciler.table.resolve('m', undefined).served.version).toBe('2');
    expect(fixture.snapshots - before).toBe(1);
    before = fixture.snapshots;
    await promotion.promote(actor, { ...move, version: '1', reason: 'told too early' }, () => Promise.resolve());
    expect(fixture.reconciler.table.resolve('m', undefined).served.version).toBe('1');
    expect(fixture.snapshots - before).toBe(2);
    await looks;
  });

  it('loads nothing for a move that will be refused, and moves nothing that another process cannot load', async () => {
    await fixture.reconciler.start();
    await fixture.reconciler.unload(fixture.reconciler.table.resolve('m', '2').served);
    const steps: string[] = [];
    const aliases = {
      foresee: () => Promise.reject(new DomainError('etag_mismatch', 'no')),
      move: () => Promise.resolve(event).finally(() => steps.push('moved')),
      rollback: () => Promise.resolve(event).finally(() => steps.push('moved')),
      foreseeRollback: (): Promise<string> => Promise.reject(new DomainError('policy_forbidden', 'no')),
    };
    const elsewhere = {
      warm: () => Promise.reject(new DomainError('model_not_ready', 'no memory')).finally(() => steps.push('asked')),
      follow: () => Promise.resolve(),
    };
    const promotion = new Promotion(aliases, fixture.reconciler, elsewhere, fixture.options, new ManifestDefaults());
    expect(await code(promotion.promote(actor, move, () => Promise.resolve()))).toBe('etag_mismatch');
    expect(await code(promotion.rollback(actor, move, () => Promise.resolve()))).toBe('policy_forbidden');
    expect(fixture.reconciler.table.resolve('m', '2').served.loaded).toBeUndefined();
    expect(steps).toEqual([]);
    aliases.foreseeRollback = () => Promise.resolve('2');
    aliases.foresee = () => Promise.resolve() as Promise<never>;
    expect(await code(promotion.promote(actor, move, () => Promise.resolve()))).toBe('model_not_ready');
    expect(await code(promotion.rollback(actor, { ...move }, () => Promise.resolve()))).toBe('model_not_ready');
    expect(steps).toEqual(['asked', 'asked']);
  });

  it('leaves the refusal of unknown versions to the move, and does not move to what will not load', async () => {
    await fixture.reconciler.start();
    const refused = new DomainError('alias_not_found', 'no');
    const promotion = new Promotion(
      {
        foresee: () => Promise.resolve(),
        move: () => Promise.reject(refused),
        rollback: () => Promise.reject(refused),
        foreseeRollback: () => Promise.reject(refused),
      },
      fixture.reconciler,
      { warm: () => Promise.resolve(), follow: () => Promise.resolve() },
      fixture.options,
      new ManifestDefaults(),
    );
    expect(await code(promotion.promote(actor, { ...move, version: '9' }, () => Promise.resolve()))).toBe(
      'alias_not_found',
    );
    fixture.runtime.define(`m@2@${digest(2)}`, { ...SUM, loadError: new Error('broken') });
    await fixture.reconciler.unload(fixture.reconciler.table.resolve('m', '2').served);
    expect(await code(promotion.promote(actor, move, () => Promise.resolve()))).toBe('model_not_ready');
  });
});
