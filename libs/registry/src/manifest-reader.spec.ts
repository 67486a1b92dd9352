import type { DomainError } from '@sibyl/kernel';
import { effectiveTask, type Manifest } from './manifest';
import { readManifest, storedManifest } from './manifest-reader';

const read = (document: unknown, expected = {}): Manifest =>
  readManifest(Buffer.from(JSON.stringify(document)), expected, 40);
const GOOD = { name: 'm', version: '1.0.0' };

function refusal(work: () => unknown): DomainError {
  try {
    work();
  } catch (error) {
    return error as DomainError;
  }
  throw new Error('it was accepted');
}

/** Pointers of the faults of a manifest with these members. */
function faults(members: Record<string, unknown>): string[] {
  const error = refusal(() => read({ ...GOOD, ...members }));
  expect(error.code).toBe('model_rejected');
  return (error.faults ?? []).map(({ pointer }) => pointer.replace('/sibyl.json', ''));
}

describe('a manifest', () => {
  it('needs no more than a name and a version', () => {
    expect(read(GOOD)).toEqual({ ...GOOD, metrics: {}, document: GOOD });
  });

  it('is read whole, and keeps what it does not know', () => {
    const document = {
      ...GOOD,
      task: 'classification',
      framework: { name: 'scikit-learn' },
      description: 'd',
      training_date: '2024-01-12T00:00:00Z',
      training_data: { rows: 5 },
      metrics: { accuracy: 0.9 },
      inputs: [{ name: 'sequence', datatype: 'FP32', shape: [-1, 32, 2], columns: ['a', 'b'] }],
      features: [{ name: 'a', datatype: 'FP32', nullable: true, min: 0, max: 1, allowed: [0, 1], default: 0 }],
      outputs: [{ name: 'label', datatype: 'INT64', shape: [-1] }],
      classes: [0, 1],
      decision: { field: 'signal', label_output: 'label', positive_class: 1, threshold: 0.3, probabilities: true },
      calibration: { method: 'isotonic' },
      baseline: { a: { mean: 1 } },
      native: { format: 'xgboost', files: ['model.json'] },
      runtime: { device_policy: 'cpu_only', max_batch: 8, batch_budget_ms: 2.5, warmup: false, keep_loaded: true },
      files: ['1_Pooling/config.json'],
      team: { name: 'risk' },
    };
    expect(read(document)).toEqual({
      ...GOOD,
      task: 'classification',
      description: 'd',
      trainingDate: '2024-01-12T00:00:00Z',
      metrics: { accuracy: 0.9 },
      inputs: document.inputs,
      features: [{ name: 'a', datatype: 'FP32', nullable: true, min: 0, max: 1, allowed: [0, 1], defaultValue: 0 }],
      outputs: document.outputs,
      classes: ['0', '1'],
      decision: { field: 'signal', labelOutput: 'label', positiveClass: '1', threshold: 0.3, probabilities: true },
      calibration: { method: 'isotonic' },
      baseline: { a: { mean: 1 } },
      native: { format: 'xgboost', files: ['model.json'] },
      runtime: { devicePolicy: 'cpu_only', maxBatch: 8, batchBudgetMs: 2.5, warmup: false, keepLoaded: true },
      files: ['1_Pooling/config.json'],
      document,
    });
  });

  it('reads null as left out, as exporters write it', () => {
    const nothing = {
      task: null,
      metrics: null,
      features: [{ name: 'a', min: null, default: null }],
      decision: null,
      runtime: null,
    };
    expect(read({ ...GOOD, ...nothing })).toMatchObject({ features: [{ name: 'a' }], metrics: {} });
    expect(read({ ...GOOD, ...nothing }).features?.[0]).toEqual({ name: 'a' });
  });

  it('keeps any word for a task and treats unknown ones as generic', () => {
    expect(effectiveTask(read({ ...GOOD, task: 'ranking' }))).toBe('generic');
    expect(read({ ...GOOD, task: 'ranking' }).task).toBe('ranking');
    expect(effectiveTask(read({ ...GOOD, task: 'embedding' }))).toBe('embedding');
    expect(effectiveTask(read(GOOD))).toBeUndefined();
  });

  it('takes name and version from the request where it has none, and must agree with it where it has', () => {
    expect(readManifest(undefined, GOOD, 40)).toMatchObject(GOOD);
    expect(read({ name: 'm' }, { version: '2' })).toMatchObject({
      version: '2',
      document: { name: 'm', version: '2' },
    });
    const mismatch = refusal(() => read(GOOD, { name: 'n', version: '2' }));
    expect(mismatch).toMatchObject({ code: 'manifest_mismatch' });
    expect(mismatch.faults).toEqual([
      { pointer: '/sibyl.json/name', expected: 'n', received: 'm' },
      { pointer: '/sibyl.json/version', expected: '2', received: '1.0.0' },
    ]);
    expect(refusal(() => read({})).code).toBe('invalid_parameter');
    expect(refusal(() => readManifest(undefined, { name: 'm' }, 40)).faults).toHaveLength(1);
  });

  it('is refused when it is not a JSON object in UTF-8 within limits', () => {
    const bytes = (text: string): Buffer => Buffer.from(text);
    const deep = `{"name":"m","version":"1","x":${'['.repeat(60)}${']'.repeat(60)}}`;
    for (const content of [
      bytes(''),
      bytes('{'),
      bytes('[]'),
      bytes('"x"'),
      bytes('null'),
      Buffer.from([0x7b, 0xff, 0x7d]),
      bytes(deep),
    ]) {
      const error = refusal(() => readManifest(content, {}, 40));
      expect(error).toMatchObject({ code: 'model_rejected', faults: [{ pointer: '/sibyl.json' }] });
    }
    expect(read({ ...GOOD, brackets: '['.repeat(100), quote: '\\"[' }).name).toBe('m');
  });

  it.each([
    ['x/y'],
    ['../x'],
    ['a..b'],
    ['.x'],
    ['x.'],
    [''],
    ['x\0.onnx'],
    ['．．'],
    ['con'],
    ['nul.txt'],
    ['C:\\x'],
    ['x'.repeat(129)],
    ['%2e%2e'],
  ])('is refused under the model name %j', (name) => {
    expect(refusal(() => read({ ...GOOD, name })).faults?.[0]?.pointer).toBe('/sibyl.json/name');
    expect(refusal(() => readManifest(undefined, { name, version: '1' }, 40)).code).toBe('model_rejected');
  });

  it.each([['a/b'], [''], ['1 0'], ['..'], ['.'], ['x'.repeat(65)], ['1\n'], ['latest'], ['Production'], ['é']])(
    'is refused under the version %j',
    (version) => {
      expect(refusal(() => read({ ...GOOD, version })).faults?.[0]?.pointer).toBe('/sibyl.json/version');
    },
  );

  it.each([['1'], ['1.0.0-rc.1+build_7'], ['v2'], ['2024-01-01'], ['x'.repeat(64)], ['1..2']])(
    'is taken under the version %j',
    (version) => {
      expect(read({ ...GOOD, version }).version).toBe(version);
    },
  );

  it.each<[string, Record<string, unknown>, string[]]>([
    [
      'members of a wrong type',
      { task: 1, description: [], metrics: [], classes: 'x', decision: 1, runtime: [], baseline: 'x' },
      ['/task', '/description', '/metrics', '/classes', '/decision', '/baseline', '/runtime'],
    ],
    ['a date that is none', { training_date: 'yesterday' }, ['/training_date']],
    ['entries that are no objects', { inputs: [1], features: ['a'] }, ['/inputs/0', '/features/0']],
    ['tensors without a name', { inputs: [{ datatype: 'FP32' }] }, ['/inputs/0/name']],
    ['unknown datatypes', { outputs: [{ name: 'y', datatype: 'float32' }] }, ['/outputs/0/datatype']],
    [
      'shapes that are none',
      {
        inputs: [
          { name: 'x', shape: [-2] },
          { name: 'y', shape: [1.5] },
        ],
      },
      ['/inputs/0/shape', '/inputs/1/shape'],
    ],
    [
      'columns that do not name the last dimension',
      { inputs: [{ name: 'x', shape: [-1, 3], columns: ['a', 'b'] }] },
      ['/inputs/0/columns'],
    ],
    [
      'columns without a dimension',
      {
        inputs: [
          { name: 'x', shape: [], columns: ['a'] },
          { name: 'y', columns: [] },
        ],
      },
      ['/inputs/0/columns', '/inputs/1/columns'],
    ],
    [
      'a column twice, or no string',
      { inputs: [{ name: 'x', columns: ['a', 'a', 1] }] },
      ['/inputs/0/columns/1', '/inputs/0/columns/2'],
    ],
    [
      'names twice',
      { inputs: [{ name: 'x' }, { name: 'x' }], features: [{ name: 'a' }, { name: 'a' }] },
      ['/inputs/1/name', '/features/1/name'],
    ],
    ['classes twice or none', { classes: ['a', 'a'] }, ['/classes']],
    ['classes that are objects', { classes: [{}] }, ['/classes']],
    ['no class at all', { classes: [] }, ['/classes']],
    ['a threshold outside 0 to 1', { decision: { threshold: 1.5 } }, ['/decision/threshold']],
    ['a positive class that is an object', { decision: { positive_class: {} } }, ['/decision/positive_class']],
    ['a field that is no name', { decision: { field: 'a b' } }, ['/decision/field']],
    ['a feature without a name', { features: [{ min: 0 }] }, ['/features/0/name']],
    ['min above max', { features: [{ name: 'a', min: 2, max: 1 }] }, ['/features/0/min']],
    [
      'bounds of texts',
      { features: [{ name: 'a', datatype: 'BYTES', min: 0, max: 1 }] },
      ['/features/0/min', '/features/0/max'],
    ],
    ['nullable integers', { features: [{ name: 'a', datatype: 'INT64', nullable: true }] }, ['/features/0/nullable']],
    [
      'allowed values of another type',
      {
        features: [
          { name: 'a', datatype: 'BYTES', allowed: [1] },
          { name: 'b', allowed: [] },
        ],
      },
      ['/features/0/allowed', '/features/1/allowed'],
    ],
    [
      'a default of another type',
      {
        features: [
          { name: 'a', datatype: 'FP32', default: 'x' },
          { name: 'b', datatype: 'INT8', default: 0.5 },
        ],
      },
      ['/features/0/default', '/features/1/default'],
    ],
    [
      'a default out of range or not allowed',
      {
        features: [
          { name: 'a', max: 1, default: 2 },
          { name: 'b', allowed: ['x'], default: 'y' },
        ],
      },
      ['/features/0/default', '/features/1/default'],
    ],
    [
      'files that leave the package',
      { native: { files: ['/etc/passwd'] }, files: ['a/../../b'] },
      ['/native/files', '/files'],
    ],
    [
      'a runtime that there is not',
      { runtime: { device_policy: 'tpu', max_batch: 0, batch_budget_ms: 0, warmup: 'yes', keep_loaded: 1 } },
      [
        '/runtime/device_policy',
        '/runtime/max_batch',
        '/runtime/batch_budget_ms',
        '/runtime/warmup',
        '/runtime/keep_loaded',
      ],
    ],
  ])('is refused for %s, with a pointer to each fault', (_, members, pointers) => {
    expect(faults(members)).toEqual(pointers);
  });

  it('takes booleans and big integers where the datatype has them', () => {
    const features = [
      { name: 'a', datatype: 'BOOL', default: true },
      { name: 'b', datatype: 'INT64', allowed: ['9007199254740993'] },
      { name: 'c', datatype: 'FP32', default: [1, 2] },
    ];
    expect(read({ ...GOOD, features }).features).toHaveLength(3);
  });

  it('lists a bounded number of faults', () => {
    expect(faults({ features: Array.from({ length: 5000 }, () => ({})) })).toHaveLength(100);
  });

  it('that is stored is read without a refusal, whatever rules have come since', () => {
    const stored = storedManifest({ ...GOOD, classes: 'x', features: [{ name: 'a', min: 'x' }] }, GOOD);
    expect(stored).toMatchObject({ ...GOOD, features: [{ name: 'a' }] });
    expect(stored.classes).toBeUndefined();
  });

  it('gives nothing to a prototype', () => {
    const manifest = readManifest(Buffer.from('{"name":"m","version":"1","__proto__":{"task":"x"}}'), {}, 40);
    expect(manifest.task).toBeUndefined();
    expect(({} as { task?: string }).task).toBeUndefined();
  });
});
