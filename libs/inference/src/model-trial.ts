import { DomainError, type Clock, type FieldFault } from '@sibyl/kernel';
import {
  FRAME_TYPES,
  FrameError,
  frameMessage,
  frameTensors,
  type FailedMessage,
  type LoadMessage,
  type LoadedMessage,
  type RunnerFrame,
  type Tensor,
} from '@sibyl/protocol';
import type { DevicePolicy, ModelFile, TrialPhase, TrialReport, TrialRuns } from './model-runtime';
import { BatchTimes } from './batch-times';
import type { RunnerLoss } from './inference-observer';
import { shuttingDown } from './runner-slot';
import { BoundedRunner, type RunnerBounds } from './bounded-runner';
import { runtimeWords } from './runtime-words';
import { RunnerLostError, type Runner, type RunnerEnd, type RunnerSettings } from './runner';
import { selectProviders } from './select-providers';
import { signatureOfLoaded } from './served-version';
import { loadedMessage } from './session-loader';

export interface TrialBounds extends RunnerBounds {
  readonly devicePolicy: DevicePolicy;
  readonly onPhase?: ((phase: TrialPhase) => void) | undefined;
}

const SESSION = 1;
const MIB = 1024 * 1024;

function outputsOf(frame: RunnerFrame, { outputs }: LoadedMessage): Tensor[] {
  return frameTensors(frame).map(({ index, datatype, shape, data }) => {
    return { name: outputs[index]?.name ?? '', datatype, shape, data };
  });
}

/** What it does not survive, and what is too large to be sent, has failed. */
function ignoreLoss(error: unknown): undefined {
  if (error instanceof FrameError) return undefined;
  if (error instanceof RunnerLostError && error.end.reason !== 'stopped') return undefined;
  throw error;
}

/** A crash may be the fault of an input that was made up; time and memory are not. */
function ignoreCrash(error: unknown): undefined {
  if (error instanceof RunnerLostError && (error.end.reason === 'overran' || error.end.reason === 'memory'))
    throw error;
  return ignoreLoss(error);
}

async function oneByOne<T>(
  runs: readonly (readonly Tensor[])[],
  run: (inputs: readonly Tensor[]) => Promise<T>,
): Promise<T[]> {
  const results: T[] = [];
  for (const inputs of runs) results.push(await run(inputs));
  return results;
}

/** One model in a process of its own that ends with the trial. */
export class ModelTrial {
  private begun = false;
  private readonly bounded: BoundedRunner;

  constructor(
    settings: RunnerSettings,
    private readonly clock: Clock,
    private readonly bounds: TrialBounds,
  ) {
    this.bounded = new BoundedRunner(settings, clock, bounds);
  }

  async run(model: ModelFile, runs: TrialRuns): Promise<TrialReport> {
    return this.bounded.during((runner, limitAt) =>
      this.try(runner, limitAt, model, runs).catch(async (error: unknown) => {
        throw await this.verdict(error, model);
      }),
    );
  }

  /** Ends it; `run` rejects with shutting_down, which says nothing about the model. */
  stop(): void {
    this.bounded.stop();
  }

  private async try(
    runner: Runner,
    limitAt: number,
    model: ModelFile,
    { samples, probes = [], batches = [], last }: TrialRuns,
  ): Promise<TrialReport> {
    const load = await this.timed('load', () => this.load(runner, model, limitAt));
    const loaded = load.result;
    const names = loaded.inputs.map((input) => input.name);
    // What a model might not take, and perhaps not survive: what it did before stands. Where it has done nothing yet, the
    // first has to keep within the limits: a model that loops for ever or takes all memory shows it only when it runs.
    let first = samples.length === 0;
    const attempt = async (inputs: readonly Tensor[]): Promise<readonly Tensor[] | undefined> => {
      const ignore = first ? ignoreCrash : ignoreLoss;
      first = false;
      const frame = runner.ended ? undefined : await runner.run(SESSION, inputs, names, limitAt).catch(ignore);
      return frame?.type === FRAME_TYPES.outputs ? outputsOf(frame, loaded) : undefined;
    };
    const replayed = await this.timed('samples', () => this.replay(runner, loaded, { model, samples }, limitAt));
    const probed = await this.timed('probes', () => oneByOne(probes, attempt));
    const times = new BatchTimes(this.clock, () => runner.rssBytes() ?? 0);
    const measured = await this.timed('batches', () => times.of(batches, attempt));
    return {
      ...replayed.result,
      probes: probed.result,
      batches: measured.result,
      last: last && (await attempt(last)),
      phaseMs: { load: load.ms, samples: replayed.ms, probes: probed.ms, batches: measured.ms },
    };
  }

  private async replay(
    runner: Runner,
    loaded: LoadedMessage,
    { model, samples }: Pick<TrialRuns, 'samples'> & { readonly model: ModelFile },
    limitAt: number,
  ): Promise<Omit<TrialReport, 'probes' | 'batches' | 'last' | 'phaseMs'>> {
    const signature = signatureOfLoaded(loaded);
    const names = loaded.inputs.map((input) => input.name);
    const outputs: (readonly Tensor[])[] = [];
    const durationsMs: number[] = [];
    for (const [index, sample] of samples.entries()) {
      const begun = this.clock.monotonic();
      const frame = await this.runSample(runner, sample, names, limitAt, index);
      if (frame.type !== FRAME_TYPES.outputs) throw await refusedSample(frame, index, model);
      durationsMs.push(this.clock.monotonic() - begun);
      outputs.push(outputsOf(frame, loaded));
    }
    const { provider, loadMs, loadCpuMs, memoryBytes } = loaded;
    return { signature, provider, loadMs, loadCpuMs, memoryBytes, outputs, durationsMs };
  }

  private async load(runner: Runner, model: ModelFile, limitAt: number): Promise<LoadedMessage> {
    const ready = await runner.started(limitAt);
    const providers = selectProviders(this.bounds.devicePolicy, ready);
    this.begun = true;
    const message: LoadMessage = { path: model.path, providers };
    return loadedMessage(await runner.call(FRAME_TYPES.load, SESSION, message, limitAt));
  }

  private async timed<T>(
    phase: TrialPhase,
    work: () => Promise<T>,
  ): Promise<{ readonly result: T; readonly ms: number }> {
    this.bounds.onPhase?.(phase);
    const begun = this.clock.monotonic();
    const result = await work();
    return { result, ms: this.clock.monotonic() - begun };
  }

  private async runSample(
    runner: Runner,
    sample: readonly Tensor[],
    names: readonly string[],
    limitAt: number,
    index: number,
  ): Promise<RunnerFrame> {
    const pointer = sampleAt(index);
    try {
      return await runner.run(SESSION, sample, names, limitAt);
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      const fault = { pointer, expected: `inputs among ${names.join(', ')}`, received: 'inputs that do not fit' };
      throw rejected('A sample does not fit the inputs of the model.', fault, error);
    }
  }

  /** What a failure says about the model; before the load it says nothing about it. */
  private async verdict(error: unknown, { path }: ModelFile): Promise<unknown> {
    if (error instanceof RunnerLostError && error.end.reason === 'stopped') return shuttingDown();
    if (error instanceof DomainError && error.code === 'model_not_ready') {
      const expected = 'a model that the runtime can load';
      const received = error.cause instanceof Error ? await runtimeWords(error.cause.message, path) : '';
      const fault = { pointer: '/model.onnx', expected, received: received || 'a file that it refuses' };
      return rejected('The model could not be loaded.', fault, error.cause);
    }
    if (error instanceof DomainError) return error;
    if (!this.begun)
      return new DomainError('model_not_ready', 'No process for the trial could be started.', { cause: error });
    if (error instanceof RunnerLostError && error.end.reason !== 'stopped') return this.lost(error.end.reason, error);
    return rejected('The model could not be tried.', { pointer: '/model.onnx' }, error);
  }

  private lost(reason: RunnerLoss, error: RunnerLostError): DomainError {
    const { limitMs, memoryBytes } = this.bounds;
    const reasons: Record<RunnerLoss, readonly [detail: string, expected: string, received: string]> = {
      overran: ['The model was too slow.', `loaded and tried within ${limitMs / 1000} s`, 'still at work'],
      memory: ['The model needs too much memory.', `at most ${Math.round(memoryBytes / MIB)} MiB`, 'more than that'],
      crashed: ['The model crashed the process that tried it.', 'a process that lives on', describeEnd(error.end)],
      protocol: ['The model broke the process that tried it.', 'readable answers', 'something else'],
    };
    const [detail, expected, received] = reasons[reason];
    return rejected(detail, { pointer: '/model.onnx', expected, received }, error);
  }
}

function sampleAt(index: number): string {
  return `/golden.json/samples/${index}`;
}

async function refusedSample(frame: RunnerFrame, index: number, { path }: ModelFile): Promise<DomainError> {
  const { reason, message } = frameMessage(frame) as FailedMessage;
  const received = reason === 'too_large' ? 'an answer over the limit' : await runtimeWords(message, path);
  const cause = new Error(message);
  return rejected(
    'The model could not compute a sample.',
    { pointer: sampleAt(index), expected: 'outputs', received },
    cause,
  );
}

function rejected(detail: string, fault: FieldFault, cause: unknown): DomainError {
  return new DomainError('model_rejected', detail, { faults: [fault], cause });
}

function describeEnd(end: RunnerEnd): string {
  return end.signal === null ? `it ended with code ${end.code ?? '?'}` : `it ended by ${end.signal}`;
}
