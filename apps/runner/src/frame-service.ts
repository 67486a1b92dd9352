/** Hot path. See docs/paths/predict.md. */
import {
  FRAME_TYPES,
  FrameEncoder,
  FrameError,
  FrameTooLargeError,
  frameMessage,
  frameTensors,
  type Datatype,
  type FailedMessage,
  type LoadMessage,
  type LoadedMessage,
  type PlacementMessage,
  type ReadyMessage,
  type RunnerFrame,
  type TensorData,
  type UnloadedMessage,
  TYPED_ARRAYS,
} from '@sibyl/protocol';
import { OnnxSession, ProviderError, runtimeVersion, startRuntime, usableProviders, visibleGpus } from './onnx-session';

/** Does what a frame asks for and gives the bytes of the answer, which are valid until the next call. */
export class FrameService {
  private readonly sessions = new Map<number, OnnxSession>();
  private readonly encoder: FrameEncoder;

  constructor(maxFrameBytes: number) {
    this.encoder = new FrameEncoder(maxFrameBytes);
  }

  /** What a runner says first, when it has done all that it can do without a model. */
  greeting(): Uint8Array {
    startRuntime();
    const ready: ReadyMessage = { runtime: runtimeVersion(), providers: usableProviders(), gpus: visibleGpus() };
    return this.encoder.message(FRAME_TYPES.ready, 0, 0, ready);
  }

  /** Undefined where the frame asks the runner to end. */
  answer(frame: RunnerFrame): Uint8Array | undefined {
    switch (frame.type) {
      case FRAME_TYPES.run:
        return this.run(frame);
      case FRAME_TYPES.load:
        return this.load(frame);
      case FRAME_TYPES.unload:
        return this.unload(frame);
      case FRAME_TYPES.place:
        return this.placement(frame);
      case FRAME_TYPES.stop:
        return undefined;
      default:
        throw new FrameError(`a runner does not take frames of type ${frame.type}`);
    }
  }

  private run(frame: RunnerFrame): Uint8Array {
    const session = this.sessions.get(frame.session);
    if (session === undefined) return this.failed(frame, 'unknown_session', new Error(`no session ${frame.session}`));
    try {
      const outputs = session.run(frameTensors(frame));
      this.encoder.begin(FRAME_TYPES.outputs, frame.session, frame.request);
      for (let i = 0; i < outputs.length; i++) {
        const output = outputs[i];
        const datatype = session.outputs[i]?.datatype as Datatype | undefined;
        if (output === undefined || datatype === undefined) continue;
        this.encoder.openTensor(i, datatype, output.dims);
        this.encoder.append(plainArray(datatype, output.data));
        this.encoder.closeTensor();
      }
      return this.encoder.end();
    } catch (error) {
      return this.failed(frame, error instanceof FrameTooLargeError ? 'too_large' : 'model', error);
    }
  }

  private load(frame: RunnerFrame): Uint8Array {
    const message = frameMessage(frame) as LoadMessage;
    const rssBefore = process.memoryUsage.rss();
    const begun = performance.now();
    const cpuBefore = process.cpuUsage();
    try {
      this.sessions.get(frame.session)?.release();
      const session = OnnxSession.load(message);
      this.sessions.set(frame.session, session);
      const loaded: LoadedMessage = {
        provider: session.provider,
        inputs: session.inputs,
        outputs: session.outputs,
        loadMs: performance.now() - begun,
        loadCpuMs: cpuMsSince(cpuBefore),
        memoryBytes: Math.max(0, process.memoryUsage.rss() - rssBefore),
      };
      return this.encoder.message(FRAME_TYPES.loaded, frame.session, frame.request, loaded);
    } catch (error) {
      return this.failed(frame, error instanceof ProviderError ? 'provider' : 'model', error, FRAME_TYPES.loadFailed);
    }
  }

  private unload(frame: RunnerFrame): Uint8Array {
    this.sessions.get(frame.session)?.release();
    this.sessions.delete(frame.session);
    const unloaded: UnloadedMessage = { rssBytes: process.memoryUsage.rss() };
    return this.encoder.message(FRAME_TYPES.unloaded, frame.session, frame.request, unloaded);
  }

  private placement(frame: RunnerFrame): Uint8Array {
    const nodes = this.sessions.get(frame.session)?.placement;
    const placed: PlacementMessage = nodes === undefined ? {} : { nodes };
    return this.encoder.message(FRAME_TYPES.placed, frame.session, frame.request, placed);
  }

  private failed(
    frame: RunnerFrame,
    reason: FailedMessage['reason'],
    error: unknown,
    type: typeof FRAME_TYPES.runFailed | typeof FRAME_TYPES.loadFailed = FRAME_TYPES.runFailed,
  ): Uint8Array {
    const text = error instanceof Error ? describe(error) : String(error);
    const failed: FailedMessage = { reason, message: text.slice(0, 2000) };
    return this.encoder.message(type, frame.session, frame.request, failed);
  }
}

function cpuMsSince(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

function describe(error: Error): string {
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
}

/** Newer Node versions give FP16 as a Float16Array; on the way it is its raw 16 bits, as in the rest of the system. */
function plainArray(datatype: Datatype, data: TensorData): TensorData {
  if (datatype !== 'FP16' || Array.isArray(data)) return data;
  return new TYPED_ARRAYS.FP16(data.buffer as ArrayBuffer, data.byteOffset, data.length);
}
