import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { ChangeRecord, RecordChange } from '@sibyl/audit';
import type { Database } from '@sibyl/database';
import { createTestDatabase } from '@sibyl/database/testing';
import {
  ModelRuntime,
  type LoadedModel,
  type ModelFile,
  type RuntimeStatus,
  type TrialReport,
  type TrialLimits,
  type TrialRuns,
} from '@sibyl/inference';
import { type Actor } from '@sibyl/kernel';
import { CountingIds, FakeClock } from '@sibyl/kernel/testing';
import type { Tensor } from '@sibyl/protocol';
import { registryMigrations } from '../migrations';
import { ModelRegistry } from '../model-registry';
import type { RegistryParts } from '../registry-parts';
import { RegistryOptions } from '../registry-options';

/** Computes what the linear model of `packageFolder` computes; `answer` and `before` are for tests that need something else. */
export class LinearRuntime extends ModelRuntime {
  readonly platform = 'test';
  readonly trials: { readonly model: ModelFile; readonly samples: number }[] = [];
  before: (() => Promise<void> | void) | undefined;
  answer = (features: Tensor): Tensor => {
    const rows = features.shape[0] ?? 0;
    const at = (i: number): number => Number(features.data[i]);
    const data = Float32Array.from({ length: rows }, (_, row) => 2 * at(2 * row) - at(2 * row + 1) + 0.5);
    return { name: 'variable', datatype: 'FP32', shape: [rows, 1], data };
  };

  async trial(
    model: ModelFile,
    { samples, probes = [], batches = [], last }: TrialRuns,
    { signal, onPhase }: TrialLimits = {},
  ): Promise<TrialReport> {
    this.trials.push({ model, samples: samples.length });
    for (const phase of ['load', 'samples', 'probes', 'batches'] as const) onPhase?.(phase);
    await this.before?.();
    signal?.throwIfAborted();
    const answer = (inputs: readonly Tensor[]): Tensor[] => inputs.slice(0, 1).map((features) => this.answer(features));
    return {
      signature: { inputs: [], outputs: [] },
      provider: 'cpu',
      loadMs: 1,
      loadCpuMs: 1,
      memoryBytes: 1000,
      outputs: samples.map(answer),
      durationsMs: samples.map(() => 1),
      probes: probes.map(answer),
      batches: batches.map((inputs) => ({ rows: inputs[0]?.shape[0] ?? 0, medianMs: 1, memoryBytes: 10 })),
      last: last && answer(last),
      phaseMs: { load: 1, samples: 1, probes: 1, batches: 1 },
    };
  }

  load(): Promise<LoadedModel> {
    throw new Error('the registry loads nothing');
  }

  expectedBytes(): number {
    throw new Error('the registry loads nothing');
  }

  status(): RuntimeStatus {
    throw new Error('the registry asks for no status');
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

export const ALICE: Actor = { type: 'key', id: 'key-1', keyId: 'key-1', name: 'alice' };

export interface RegistryFixture {
  readonly registry: ModelRegistry;
  readonly database: Database;
  readonly runtime: LinearRuntime;
  readonly clock: FakeClock;
  readonly options: RegistryOptions;
  /** Every change that was recorded in a transaction. */
  readonly changes: ChangeRecord[];
  readonly record: RecordChange;
  /** Of the database's superuser. */
  readonly url: string;
  /** Another registry on the same database and store, as a second process has it. */
  another(options?: Partial<RegistryOptions>, parts?: Partial<RegistryParts>): ModelRegistry;
  end(): Promise<void>;
}

/** A registry on a database and a content store of its own. */
export async function registryFixture(given: Partial<RegistryOptions> = {}): Promise<RegistryFixture> {
  const test = await createTestDatabase(registryMigrations);
  const { database, url } = test;
  const folder = await mkdtemp(path.join(os.tmpdir(), 'sibyl-registry-'));
  const options = Object.assign(new RegistryOptions(), { artifactFolder: folder }, given);
  const runtime = new LinearRuntime();
  const clock = new FakeClock();
  const ids = new CountingIds();
  const changes: ChangeRecord[] = [];
  const make = (own: Partial<RegistryOptions> = {}, parts: Partial<RegistryParts> = {}): ModelRegistry => {
    const ownOptions = Object.assign(new RegistryOptions(), options, own);
    return new ModelRegistry({ database, runtime, clock, ids, options: ownOptions, ...parts });
  };
  return {
    registry: make(),
    database,
    runtime,
    clock,
    options,
    changes,
    url,
    record: (_, change) => {
      changes.push(change);
      return Promise.resolve();
    },
    another: make,
    end: async () => {
      await test.drop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
