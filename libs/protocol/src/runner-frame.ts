/**
 * Hot path. What server and runner say to each other over their socket pair, one frame at a time. All numbers are
 * little-endian, as on every machine that ONNX Runtime has a Node binding for; everything begins on a multiple of 8
 * bytes, so that typed arrays are views of the received bytes.
 *
 *     frame   u32 bytes of all, header included   u8 type   u8 0   u16 session   u32 request   u32 count
 *     body    `count` tensors, or `count` bytes of JSON (only what is said once per load is JSON)
 *     tensor  u8 datatype   u8 rank   u16 index   u32 bytes of data   f64 × rank dimensions   data
 *     BYTES   per element: u32 bytes, UTF-8
 *
 * Names travel once, in `loaded`; afterwards a tensor is known by its index in that list.
 */
export const FRAME_TYPES = {
  /** Runner: started, with a ReadyMessage. */
  ready: 1,
  /** Server: LoadMessage. Answered by `loaded` (LoadedMessage) or `loadFailed` (FailedMessage). */
  load: 2,
  loaded: 3,
  loadFailed: 4,
  /** Server: input tensors. Answered by `outputs` or `runFailed` (FailedMessage). */
  run: 5,
  outputs: 6,
  runFailed: 7,
  /** Server: forget the session. Answered by `unloaded` (UnloadedMessage). */
  unload: 8,
  unloaded: 9,
  /** Server: end. Answered by the end of the process; closing the socket says the same. */
  stop: 10,
  /** Server: after the first runs of a session, which provider computed them? Answered by `placed` (PlacementMessage). */
  place: 11,
  placed: 12,
} as const;

export type FrameType = (typeof FRAME_TYPES)[keyof typeof FRAME_TYPES];

export const FRAME_HEADER_BYTES = 16;
export const TENSOR_HEADER_BYTES = 8;
export const MAX_TENSOR_RANK = 16;

/** Bytes that are no frame of this protocol, or more of them than allowed: the sender cannot be trusted any more. */
export class FrameError extends Error {
  override readonly name: string = 'FrameError';
}

/** What is to be sent does not fit into a frame: the fault of whoever gave it, not of the connection. */
export class FrameTooLargeError extends FrameError {
  constructor(bytes: number, maxBytes: number) {
    super(`a frame of ${bytes} bytes is over ${maxBytes}`);
  }
}

/** The next multiple of 8. */
export function aligned(bytes: number): number {
  return Math.ceil(bytes / 8) * 8;
}

export interface ReadyMessage {
  readonly runtime: string;
  /** Execution providers whose libraries are installed. */
  readonly providers: readonly string[];
  /** GPUs that the driver shows. */
  readonly gpus: number;
}

export interface LoadMessage {
  readonly path: string;
  /** In the order of preference; the first with which a session can be made is used. */
  readonly providers: readonly string[];
  /** The file was saved by the runtime, optimized, with its weights beside it: it is loaded as it is. */
  readonly prepared?: boolean;
  /** A folder into which the runtime saves it in that form. */
  readonly saveTo?: string;
}

/** A tensor as the runtime declares it; `shape` is absent where it gives no dimensions (a scalar, or unknown). */
export interface DeclaredTensor {
  readonly name: string;
  readonly datatype: string;
  readonly shape?: readonly number[];
}

export interface LoadedMessage {
  readonly provider: string;
  readonly inputs: readonly DeclaredTensor[];
  readonly outputs: readonly DeclaredTensor[];
  readonly loadMs: number;
  /** Processor time of it, which a busy machine does not stretch. */
  readonly loadCpuMs: number;
  /** What the process grew by. */
  readonly memoryBytes: number;
}

/** Nodes of the graph, as the runtime made it, by the provider that computed them in the first run that went well. */
export interface PlacementMessage {
  /** Absent where there was no such run, or the session is on the CPU alone and nothing needs to be asked. */
  readonly nodes?: Readonly<Record<string, number>>;
}

export interface UnloadedMessage {
  readonly rssBytes: number;
}

export interface FailedMessage {
  /** `provider`: no session with any of the asked providers; `model`: the file or the run is at fault. */
  readonly reason: 'model' | 'provider' | 'too_large' | 'unknown_session';
  /** The runtime's own words, for the log only: they may name paths. */
  readonly message: string;
}
