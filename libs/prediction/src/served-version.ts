import path from 'node:path';
import type { ExpectedLoad, LoadedModel, ModelFile } from '@sibyl/inference';
import type { DomainError } from '@sibyl/kernel';
import type { ModelVersion } from '@sibyl/registry';
import { compileDecision, type DecisionReader } from './decision';
import { fixedBatchOf } from './fixed-batch';
import { compileContract, type ModelContract } from './model-contract';
import { contractSource } from './manifest-contract';

export type ServingState = 'unloaded' | 'loading' | 'ready' | 'unloading' | 'unavailable';

/** How the record names a version, and the alias that led to it. */
export interface ServedIdentity {
  readonly name: string;
  readonly version: string;
  readonly digest: string;
  readonly alias?: string;
}

/** One version as this process serves it: compiled once, loaded on demand, the same object for as long as the version lives. */
export class ServedVersion {
  readonly contract: ModelContract;
  readonly decision: DecisionReader;
  /** Rows that a run takes, no more and no less, where the file fixes them. */
  readonly fixedBatch: number | undefined;
  /** `model_info` of answers, as JSON text. */
  readonly infoJson: string;
  private readonly identities = new Map<string | undefined, ServedIdentity>();

  state: ServingState = 'unloaded';
  /** Why the last attempt to load it failed: what requests are told until the next one. */
  failure: DomainError | undefined = undefined;
  /** No new attempt to load before this time of the monotonic clock. */
  retryAt = 0;
  loaded: LoadedModel | undefined = undefined;
  /** A promotion waits for it: held as if the alias were there already, up to this time of the monotonic clock. */
  promisedUntil = 0;
  /** Unloaded by hand, for want of memory or of use: not loaded again before a request asks for it. */
  parked = false;
  lastUsedAtMs: number | undefined = undefined;
  loadedAtMs: number | undefined = undefined;

  /** Replaced when the registry changes the status; digest and contract never change. */
  constructor(public facts: ModelVersion) {
    this.fixedBatch = fixedBatchOf(facts);
    const source = contractSource(facts, this.fixedBatch);
    this.contract = compileContract(source.inputs, source.features);
    this.decision = compileDecision(source);
    const { trainingDate, metrics } = facts.manifest;
    this.infoJson = JSON.stringify({
      name: facts.model,
      version: facts.version,
      ...(trainingDate === undefined ? {} : { training_date: trainingDate }),
      ...(metrics?.['accuracy'] === undefined ? {} : { accuracy: metrics['accuracy'] }),
    });
  }

  /** Why the state is `unavailable`; for the model's health, never with the runtime's own words. */
  get reason(): string | undefined {
    return this.failure?.detail;
  }

  /** The same object for the same alias each time, so that what is written from it can be kept beside it. */
  identity(alias: string | undefined): ServedIdentity {
    const known = this.identities.get(alias);
    if (known !== undefined) return known;
    const { model, version, digest } = this.facts;
    const made = { name: model, version, digest, ...(alias === undefined ? {} : { alias }) };
    this.identities.set(alias, made);
    return made;
  }

  /** What the runtime loads: the model, and the weights beside it. */
  fileAt(file: string): ModelFile {
    const { model, version, digest, onnx } = this.facts;
    const files = [file, ...onnx.externalFiles.map((name) => path.join(path.dirname(file), name))];
    return { key: `${model}@${version}@${digest}`, path: file, digest, files };
  }

  /** The model and the weights beside it. */
  private get loadedFiles(): ModelVersion['files'] {
    return this.facts.files.filter((file) => !file.path.endsWith('.json'));
  }

  /** What loading it takes, as far as its validation and its files tell. */
  get expectedLoad(): ExpectedLoad {
    const fileBytes = this.loadedFiles.reduce((sum, file) => sum + file.bytes, 0);
    const { loadCpuMs, memoryBytes } = this.facts.report?.trial ?? {};
    return { loadCpuMs, memoryBytes, fileBytes };
  }

  /** The stage of its registry for which it stands in: answers say so. */
  get insteadOf(): string | undefined {
    return this.facts.source?.insteadOf;
  }

  get model(): string {
    return this.facts.model;
  }

  get version(): string {
    return this.facts.version;
  }

  /** Whether rows may run together: they can be stacked, and were shown not to depend on each other. */
  get batchable(): boolean {
    return (
      this.fixedBatch === undefined && this.contract.stackable && this.facts.report?.trial?.rowsIndependent === true
    );
  }

  /**
   * Whether a call without a single row is run. Where rows are named features, somebody forgot them; elsewhere the trial must
   * have shown that the model survives it.
   */
  get answersNoRows(): boolean {
    if (!this.contract.stackable) return true;
    return (
      this.contract.inputs.every(({ columns }) => columns === undefined) &&
      this.facts.report?.trial?.answersNoRows === true
    );
  }

  /** Whether a caller may be answered by it: what failed validation or was archived never serves. */
  get servable(): boolean {
    return this.facts.status === 'validated' || this.facts.status === 'approved' || this.facts.status === 'active';
  }
}
