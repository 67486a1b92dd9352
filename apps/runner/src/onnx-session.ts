/** Hot path. See docs/paths/predict.md. */
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { env } from 'onnxruntime-node';
// The synchronous binding below the package's own API: `run` of the API waits a turn of the event loop and costs twice
// as much for a small model. This file alone knows it; package.json pins the version exactly.
import { binding, initOrt, type Binding } from 'onnxruntime-node/dist/binding';
import {
  executionProvider,
  installedProviders,
  type Datatype,
  type DeclaredTensor,
  type FramedTensor,
  type LoadMessage,
  type TensorData,
} from '@sibyl/protocol';
import { PlacementRecord } from './placement-record';

const SESSION_OPTIONS = {
  // One thread for one session: more of them spin and steal time from every neighbour; throughput comes from runners.
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
  executionMode: 'sequential',
  graphOptimizationLevel: 'all',
  logSeverityLevel: 3,
  extra: { session: { intra_op: { allow_spinning: '0' } } },
} as const;

/**
 * What is saved in a file of its own beside the optimized graph. The runtime begins parts of more than 1 MiB on a new page and
 * the others anywhere, where its kernels end the process; so smaller weights stay in the graph and are not shared.
 */
const SAVED_WEIGHTS_BYTES = 2 * 1024 * 1024;

/** ONNX element types by number, as the binding reports them. */
const DATATYPE_OF: readonly (Datatype | undefined)[] = [
  undefined,
  'FP32',
  'UINT8',
  'INT8',
  'UINT16',
  'INT16',
  'INT32',
  'INT64',
  'BYTES',
  'BOOL',
  'FP16',
  'FP64',
  'UINT32',
  'UINT64',
];

const ORT_TYPE_OF: Record<Datatype, string> = {
  FP32: 'float32',
  UINT8: 'uint8',
  INT8: 'int8',
  UINT16: 'uint16',
  INT16: 'int16',
  INT32: 'int32',
  INT64: 'int64',
  BYTES: 'string',
  BOOL: 'bool',
  FP16: 'float16',
  FP64: 'float64',
  UINT32: 'uint32',
  UINT64: 'uint64',
};

/** What the binding takes and gives for a tensor. */
interface OrtTensor {
  readonly type: string;
  readonly location: 'cpu';
  readonly data: TensorData;
  readonly dims: readonly number[];
}

/** None of the asked execution providers could make a session. */
export class ProviderError extends Error {
  override readonly name = 'ProviderError';
}

/** A model in memory, ready to run. */
export class OnnxSession {
  readonly inputs: readonly DeclaredTensor[];
  readonly outputs: readonly DeclaredTensor[];
  private readonly fetches: Record<string, null> = {};
  private nodes: Readonly<Record<string, number>> | undefined;

  private constructor(
    private readonly native: Binding.InferenceSession,
    readonly provider: string,
    private record: PlacementRecord | undefined,
  ) {
    this.inputs = native.inputMetadata.filter((value) => value.isTensor).map(declared);
    // Sequences and maps cannot be fetched at all; a model that has other outputs beside them still serves those.
    this.outputs = native.outputMetadata.filter((value) => value.isTensor).map(declared);
    for (const output of this.outputs) this.fetches[output.name] = null;
  }

  /** Tries the providers in order; with each, the ones after it take the operators that it does not know. */
  static load(message: LoadMessage): OnnxSession {
    startRuntime();
    const { path: file, providers } = message;
    const options = optionsFor(message);
    let failure: unknown;
    for (const [index, provider] of providers.entries()) {
      // What the CPU provider does is known without asking.
      const record = executionProvider(provider)?.device === 'gpu' ? new PlacementRecord() : undefined;
      try {
        const native = new binding.InferenceSession();
        const executionProviders = providers.slice(index).map(providerOptions);
        native.loadModel(file, { ...options, ...record?.options, executionProviders });
        return new OnnxSession(native, provider, record);
      } catch (error) {
        record?.discard();
        failure = error;
      }
    }
    if (providers.includes('cpu')) throw failure;
    throw new ProviderError(`no session with ${providers.join(', ')}`, { cause: failure });
  }

  /** The outputs in the order of `outputs`. Blocks until the run ends; nothing can end it sooner. */
  run(tensors: readonly FramedTensor[]): OrtTensor[] {
    const feeds: Record<string, OrtTensor> = {};
    for (const { index, datatype, shape, data } of tensors) {
      const input = this.inputs[index];
      if (input === undefined) throw new Error(`the model has no input ${index}`);
      feeds[input.name] = { type: ORT_TYPE_OF[datatype], location: 'cpu', data, dims: shape };
    }
    // The binding's types speak of its Tensor class; it reads no more than these four members.
    const results = this.native.run(feeds as never, this.fetches, {}) as unknown as Record<string, OrtTensor>;
    if (this.record !== undefined) this.endRecord(this.record);
    return this.outputs.map((output) => {
      const tensor = results[output.name];
      if (tensor === undefined) throw new Error(`the model gave no output ${output.name}`);
      return tensor;
    });
  }

  /** Nodes by provider, of the first run that went well; undefined before it, and on the CPU alone. */
  get placement(): Readonly<Record<string, number>> | undefined {
    return this.nodes;
  }

  /** Without it the memory of the model is never given back. */
  release(): void {
    if (this.record !== undefined) this.endRecord(this.record);
    this.native.dispose();
  }

  /** Of one run only: records cost time and grow. */
  private endRecord(record: PlacementRecord): void {
    this.record = undefined;
    this.native.endProfiling();
    this.nodes = record.read();
    record.discard();
  }
}

function optionsFor({ prepared, saveTo }: LoadMessage): object {
  // It was optimized when it was saved.
  if (prepared === true) return { ...SESSION_OPTIONS, graphOptimizationLevel: 'disabled' };
  if (saveTo === undefined) return SESSION_OPTIONS;
  const session = {
    ...SESSION_OPTIONS.extra.session,
    optimized_model_external_initializers_file_name: 'weights.bin',
    optimized_model_external_initializers_min_size_in_bytes: String(SAVED_WEIGHTS_BYTES),
    save_external_prepacked_constant_initializers: '1',
  };
  return { ...SESSION_OPTIONS, optimizedModelFilePath: path.join(saveTo, 'model.onnx'), extra: { session } };
}

/** Half of what the first load would take; a process that waits as a spare does it before it is needed. Once is enough. */
export function startRuntime(): void {
  env.logLevel = 'error';
  initOrt();
}

/** Providers whose libraries are there; whether they find a device only a session tells. */
export function usableProviders(): string[] {
  const folder = path.join(path.dirname(require.resolve('onnxruntime-node/package.json')), 'bin/napi-v6');
  const platform = `${process.platform}/${process.arch}`;
  return installedProviders(platform, (file) => existsSync(path.join(folder, platform, file))).map(({ name }) => name);
}

/** GPUs that the driver shows. */
export function visibleGpus(): number {
  try {
    // Under Windows' subsystem for Linux a GPU of Windows is /dev/dxg.
    return readdirSync('/dev').filter((name) => /^(nvidia\d+|dxg)$/.test(name)).length;
  } catch {
    // A system without /dev has no driver either.
    return 0;
  }
}

export function runtimeVersion(): string {
  return env.versions.node ?? env.versions.common;
}

/** A provider as the binding takes it. */
function providerOptions(name: string): string | { name: string } {
  const options = executionProvider(name)?.options;
  return options === undefined ? name : { name, ...options };
}

function declared(value: Binding.ValueMetadata): DeclaredTensor {
  const datatype = DATATYPE_OF[value.type];
  if (datatype === undefined)
    throw new Error(`tensor ${value.name} has an element type (${value.type}) without a name`);
  // The runtime gives no dimensions both for a scalar and where the file says nothing.
  return { name: value.name, datatype, ...(value.shape.length > 0 && { shape: [...value.shape] }) };
}
