import type { Datatype } from '@sibyl/protocol';

/** What an ONNX file says of itself, once it has passed every check of this library. */
export interface OnnxModel {
  readonly irVersion: number;
  /** The exporter's name and version, as in `skl2onnx 1.20.0`. */
  readonly producer?: string;
  readonly opsets: readonly { readonly domain: string; readonly version: number }[];
  /** Without those that an initializer fills already. */
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
  /** Nodes in the file, those in subgraphs and functions included. */
  readonly nodeCount: number;
  /** How often each operator occurs; operators outside the default domain read `ai.onnx.ml:Scaler`. */
  readonly operators: Readonly<Record<string, number>>;
  /** Names of the files beside the model that hold weights, sorted. */
  readonly externalFiles: readonly string[];
  /** Bytes that the weights take in memory: all tensors of the file, dense, inside it and outside. */
  readonly initializerBytes: number;
  readonly metadata: Readonly<Record<string, string>>;
}

export type ValueKind = 'tensor' | 'sequence' | 'map' | 'optional' | 'unknown';

/** One input or output. */
export interface OnnxValue {
  readonly name: string;
  /** Place in the file's own list of inputs or outputs. */
  readonly index: number;
  readonly kind: ValueKind;
  /** As ONNX Runtime writes it: `tensor(float)`, `seq(map(int64,tensor(float)))`. */
  readonly type: string;
  /** Of tensors only. */
  readonly datatype?: Datatype;
  /** -1 is a dimension of any size; absent where the file does not even say how many there are. */
  readonly shape?: readonly number[];
  /** Name of each dimension, empty where it has none. Equal names do not promise equal sizes. */
  readonly dimensionNames?: readonly string[];
}
