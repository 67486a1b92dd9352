import type { AliasEvent, ModelVersion } from '@sibyl/registry';
import {
  toAliasView,
  toHistoryView,
  toLoadedView,
  toModelHealthView,
  toModelInfoView,
  toModelListView,
  toUnloadedView,
  toVersionsView,
  toVersionView,
} from './model.view';
import type { ServedStatus } from './serving';

const ACTOR = { type: 'key' as const, id: 'k', keyId: 'k', name: 'n' };

function aVersion(changes: Partial<ModelVersion> = {}): ModelVersion {
  return {
    model: 'churn',
    version: '1.0.0',
    status: 'active',
    digest: 'sha256:00',
    manifest: {
      name: 'churn',
      version: '1.0.0',
      metrics: { accuracy: 0.9 },
      trainingDate: '2026-01-01',
      document: { name: 'churn', extra: 1 },
    },
    signature: {
      inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 2] }],
      outputs: [{ name: 'y', datatype: 'FP32' }],
    },
    onnx: {
      irVersion: 9,
      opsets: [],
      nodeCount: 3,
      operators: {},
      externalFiles: [],
      initializerBytes: 8,
      inputs: [],
      outputs: [],
      metadata: {},
    },
    files: [{ path: 'model.onnx', sha256: '00', bytes: 1 }],
    approvals: [],
    aliases: ['production'],
    arrival: 1,
    registeredBy: ACTOR,
    registeredAt: '2026-01-02T00:00:00Z',
    changedAt: '2026-01-02T00:00:00Z',
    changedBy: ACTOR,
    revision: 2,
    ...changes,
  };
}

const STATUS: ServedStatus = {
  model: 'churn',
  version: '1.0.0',
  state: 'ready',
  loaded: true,
  ready: true,
  provider: 'cpu',
  memoryBytes: 5,
  loadMs: 7,
  latencyMs: 0.5,
  batchCost: { fixedMs: 0.25, perRowMs: 0.01 },
  requests: 3,
  errors: 1,
  queueDepth: 0,
  lastUsedAtMs: Date.UTC(2026, 0, 15),
};

describe('a model', () => {
  it('is one row a version in the list', () => {
    expect(toModelListView({ items: [aVersion()], next: 'c' }, () => true)).toEqual({
      models: [
        {
          name: 'churn',
          version: '1.0.0',
          status: 'active',
          accuracy: 0.9,
          training_date: '2026-01-01',
          aliases: ['production'],
          features: ['x'],
          loaded: true,
        },
      ],
      next: 'c',
    });
  });

  it.each([
    ['the features of its manifest', { features: [{ name: 'a' }, { name: 'b' }] }, ['a', 'b']],
    ['the columns of its inputs', { inputs: [{ name: 'x', columns: ['c', 'd'] }, { name: 'z' }] }, ['c', 'd', 'z']],
    ['its inputs', {}, ['x']],
  ])('names %s', (_name, manifest, names) => {
    const version = aVersion({ manifest: { ...aVersion().manifest, ...manifest } });
    expect((toModelInfoView(version, undefined) as { features: string[] }).features).toEqual(names);
  });

  it('says nothing of what nobody knows', () => {
    const version = aVersion({ manifest: { name: 'churn', version: '1', metrics: {}, document: {} } });
    expect(toVersionsView('churn', [version])).toEqual({
      model_name: 'churn',
      versions: [{ version: '1.0.0', status: 'active', aliases: ['production'], digest: 'sha256:00' }],
    });
    expect(toModelInfoView(version, undefined)).not.toHaveProperty('provider');
  });

  it('shows its manifest unchanged and where it really runs', () => {
    expect(toModelInfoView(aVersion(), STATUS)).toMatchObject({
      manifest: { name: 'churn', extra: 1 },
      signature: {
        inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 2] }],
        outputs: [{ name: 'y', datatype: 'FP32' }],
      },
      loaded: true,
      provider: 'cpu',
      memory_bytes: 5,
    });
  });

  it('tells of its health, loaded or not', () => {
    expect(toModelHealthView(aVersion(), STATUS)).toMatchObject({
      ready: true,
      latency_ms: 0.5,
      batch_cost_ms: { fixed: 0.25, per_row: 0.01 },
      errors: 1,
      last_used_at: '2026-01-15T00:00:00.000Z',
    });
    expect(toModelHealthView(aVersion(), undefined)).toEqual({
      name: 'churn',
      version: '1.0.0',
      ready: false,
      state: 'unloaded',
      latency_ms: null,
      batch_cost_ms: null,
      requests: 0,
      errors: 0,
      queue_depth: 0,
      last_used_at: null,
    });
  });

  it('can be loaded and unloaded', () => {
    expect(toLoadedView(STATUS)).toEqual({
      name: 'churn',
      version: '1.0.0',
      loaded: true,
      ready: true,
      provider: 'cpu',
      memory_bytes: 5,
      load_ms: 7,
    });
    expect(toUnloadedView(STATUS)).toEqual({ name: 'churn', version: '1.0.0', loaded: false });
  });
});

describe('a version', () => {
  it('shows its report in the spelling of the wire', () => {
    const report = {
      passed: false,
      checkedAt: '2026-01-02T00:00:00Z',
      reasons: [{ pointer: '/golden.json' }],
      notes: ['n'],
      ignoredFiles: ['README'],
      trial: {
        provider: 'cpu',
        loadMs: 1,
        memoryBytes: 2,
        medianRunMs: 3,
        observedOutputs: [{ name: 'y', datatype: 'FP32' as const }],
      },
      golden: {
        source: 'sklearn',
        tolerance: { rtol: 1e-4, atol: 1e-5 },
        compared: 2,
        skipped: 0,
        missCount: 1,
        misses: [{ sample: 0, tensor: 'y', expected: '1', got: '2' }],
        largestDifference: 1,
      },
    };
    expect(toVersionView(aVersion({ report, validatedAt: '2026-01-03T00:00:00Z' }))).toMatchObject({
      report: {
        passed: false,
        checked_at: '2026-01-02T00:00:00Z',
        ignored_files: ['README'],
        trial: { load_ms: 1, memory_bytes: 2, median_run_ms: 3, observed_outputs: [{ name: 'y' }] },
        golden: { miss_count: 1, largest_difference: 1, misses: [{ sample: 0 }] },
      },
      onnx: { ir_version: 9, node_count: 3 },
      registered_by: { type: 'key', id: 'k', key_id: 'k', name: 'n' },
      validated_at: '2026-01-03T00:00:00Z',
    });
    expect(toVersionView(aVersion())).not.toHaveProperty('report');
  });
});

it('shows what runs in place of the file that came, and why', () => {
  const change = {
    kind: 'zipmap_dropped' as const,
    pointer: '/graph/output/1',
    reason: 'r',
    output: 'p',
    classes: [0, 1],
  };
  const derived = { file: 'model.onnx', sha256: '11', bytes: 5, changes: [change] };
  expect(toVersionView(aVersion({ derived }))).toMatchObject({ derived, files: [{ sha256: '00' }] });
  expect(toVersionView(aVersion())).not.toHaveProperty('derived');
});

describe('an alias', () => {
  const move: AliasEvent = {
    model: 'churn',
    alias: 'production',
    version: '2',
    digest: 'sha256:00',
    kind: 'move',
    from: '1',
    revision: 4,
    etag: '"4"',
    at: '2026-01-02T00:00:00Z',
    actor: ACTOR,
    reason: 'better',
  };

  it('says what it points at, since when, by whom and why', () => {
    expect(toAliasView(move)).toEqual({
      model: 'churn',
      alias: 'production',
      version: '2',
      digest: 'sha256:00',
      previous_version: '1',
      kind: 'move',
      revision: 4,
      etag: '"4"',
      moved_at: '2026-01-02T00:00:00Z',
      moved_by: { type: 'key', id: 'k', key_id: 'k', name: 'n' },
      reason: 'better',
    });
  });

  it('has a history', () => {
    expect(toHistoryView('churn', { items: [move] })).toMatchObject({ model_name: 'churn', items: [{ version: '2' }] });
  });
});
