import { DomainError, SingleFlight } from '@sibyl/kernel';
import type { ModelRuntime } from '@sibyl/inference';
import type { Tensor } from '@sibyl/protocol';
import { callerContract } from './caller-contract';
import { adaptInputs, compareAnswers, type GoldenDifference, type SharedSample } from './golden-difference';
import type { ModelVersion } from './model-version';
import type { RegistryOptions } from './registry-options';
import { diffVersions, type VersionDiff } from './version-diff';

/** What is asked of whoever keeps the bytes of versions. */
export interface VersionBytes {
  /** The model file to run, every byte hashed. */
  modelFile(version: ModelVersion): Promise<string>;
  sampleInputs(version: ModelVersion): Promise<readonly (readonly Tensor[])[]>;
}

/** Samples of each version that are replayed: enough to see a difference, few enough to be waited for. */
const SAMPLES = 32;
/** Replays that are kept: the bytes of versions never change, and neither does what comes of them. */
const KEPT = 64;

/** Compares versions; their golden samples are replayed in processes that end with it. */
export class VersionComparison {
  private readonly kept = new Map<string, GoldenDifference>();
  private readonly replays = new SingleFlight<GoldenDifference>();

  constructor(
    private readonly runtime: Pick<ModelRuntime, 'trial'>,
    private readonly bytes: VersionBytes,
    private readonly options: Pick<RegistryOptions, 'validationMs'>,
  ) {}

  async compare(from: ModelVersion, to: ModelVersion): Promise<VersionDiff> {
    const key = `${from.digest} ${to.digest}`;
    const golden = this.kept.get(key) ?? (await this.replays.run(key, () => this.replay(key, from, to)));
    return diffVersions(from, to, golden);
  }

  private async replay(key: string, from: ModelVersion, to: ModelVersion): Promise<GoldenDifference> {
    try {
      const samples = await this.sharedSamples(from, to);
      if (samples.length === 0) return nothing('There is no golden sample that both versions can take.');
      // One after the other: each takes as much memory as its model.
      const before = await this.answers(
        from,
        samples.map((sample) => sample.from),
      );
      const after = await this.answers(
        to,
        samples.map((sample) => sample.to),
      );
      const result: GoldenDifference = { method: 'replay', ...compareAnswers(samples, before, after) };
      if (this.kept.size >= KEPT) this.kept.delete(this.kept.keys().next().value ?? '');
      this.kept.set(key, result);
      return result;
    } catch (error) {
      // What is stored can be compared all the same, of a version that does not load any more too.
      if (error instanceof DomainError && error.kind !== 'internal') return nothing(error.detail);
      throw error;
    }
  }

  private async sharedSamples(from: ModelVersion, to: ModelVersion): Promise<SharedSample[]> {
    const [before, after] = [callerContract(from), callerContract(to)];
    const own = (await this.bytes.sampleInputs(from)).slice(0, SAMPLES).flatMap((inputs, index): SharedSample[] => {
      const adapted = adaptInputs(inputs, before, after);
      return adapted ? [{ source: 'from', index, from: inputs, to: adapted }] : [];
    });
    const others = (await this.bytes.sampleInputs(to)).slice(0, SAMPLES).flatMap((inputs, index): SharedSample[] => {
      const adapted = adaptInputs(inputs, after, before);
      return adapted ? [{ source: 'to', index, from: adapted, to: inputs }] : [];
    });
    return [...own, ...others];
  }

  private async answers(
    version: ModelVersion,
    probes: readonly (readonly Tensor[])[],
  ): Promise<readonly (readonly Tensor[] | undefined)[]> {
    const file = { key: version.digest, path: await this.bytes.modelFile(version) };
    const trial = await this.runtime.trial(file, { samples: [], probes }, { limitMs: this.options.validationMs });
    return trial.probes;
  }
}

function nothing(reason: string): GoldenDifference {
  return { method: 'replay', compared: 0, skipped: 0, differing: 0, outputs: [], examples: [], reason };
}
