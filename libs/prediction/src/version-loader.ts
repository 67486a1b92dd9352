import { DomainError, type Clock } from '@sibyl/kernel';
import type { LoadedModel, ModelRuntime } from '@sibyl/inference';
import type { Tensor } from '@sibyl/protocol';
import type { PredictionOptions } from './prediction-options';
import type { ServedVersion } from './served-version';
import type { ServingSource } from './serving-source';
import { warmupOf } from './warmup';

export interface LoaderParts {
  readonly source: Omit<ServingSource, 'snapshot'>;
  readonly runtime: Pick<ModelRuntime, 'load'>;
  readonly clock: Clock;
  readonly options: PredictionOptions;
  readonly log: { warn(fields: object, message: string): void };
  readonly mayGrow: (bytes: number) => boolean;
}

/** Brings the bytes of a version, checked against its digest just before, into the runtime. */
export class VersionLoader {
  constructor(private readonly parts: LoaderParts) {}

  /** Loads a version; `anew` beside what is loaded of it already. */
  async load(served: ServedVersion, anew = false): Promise<LoadedModel> {
    const { source, runtime, options, mayGrow } = this.parts;
    const { manifest, digest } = served.facts;
    await source.checkSignature(served.facts);
    const folder = await source.artifactFolder(digest);
    const warmup = warmupOf(served, await this.samples(folder, served));
    const model = await source.modelFile(folder, served.facts);
    const file = { ...served.fileAt(model), recheck: () => source.recheckArtifact(served.facts) };
    return runtime.load(file, {
      devicePolicy: manifest.runtime?.devicePolicy ?? options.devicePolicy,
      batchable: served.batchable,
      maxBatchRows: manifest.runtime?.maxBatch ?? options.maxBatchRows,
      ...(manifest.runtime?.batchBudgetMs === undefined ? {} : { batchBudgetMs: manifest.runtime.batchBudgetMs }),
      warmup: warmup.runs,
      warmupIsGuess: warmup.isGuess,
      expected: served.expectedLoad,
      mayGrow,
      anew,
    });
  }

  /** Without its samples a version is warmed with made-up runs: no reason not to load it. */
  private async samples(folder: string, { facts }: ServedVersion): Promise<readonly (readonly Tensor[])[]> {
    try {
      return await this.parts.source.sampleInputs(folder, facts);
    } catch (error) {
      const { model, version } = facts;
      this.parts.log.warn({ model, version, err: error }, 'golden samples could not be read: warmed without them');
      return [];
    }
  }
}

/** What requests are told of a load that failed. */
export function notLoaded(error: unknown): DomainError {
  if (error instanceof DomainError) return error;
  return new DomainError('model_not_ready', 'The model could not be loaded.', { retryAfterSeconds: 2, cause: error });
}
