import { IsInt, Max, Min } from 'class-validator';

const MIB = 2 ** 20;
const GIB = 2 ** 30;

/** What a model file may contain. ONNX Runtime sees a file only when all of these hold. */
export class OnnxLimits {
  /** Protobuf counts in 31 bits, so ONNX Runtime cannot read a larger file; larger weights go into external data. */
  @IsInt()
  @Min(1)
  @Max(64 * GIB)
  fileBytes = 2 * GIB - 1;

  /** Nodes once functions are inlined. Language models have some ten thousand; each costs the runtime about 1 kB. */
  @IsInt()
  @Min(1)
  nodes = 200_000;

  /** Graphs within nodes (If, Loop, Scan), through functions too. ONNX Runtime's load time doubles with each level. */
  @IsInt()
  @Min(0)
  subgraphDepth = 8;

  /** One tensor, dense. The largest embedding tables of today's open models are near 2 GiB. */
  @IsInt()
  @Min(1)
  tensorBytes = 4 * GIB;

  /** All tensors together, dense: external data and sparse tensors declare more than their file holds. */
  @IsInt()
  @Min(1)
  weightBytes = 8 * GIB;

  /** Initializers and tensors in attributes. A two-byte tensor in the file takes over 100 bytes in the runtime. */
  @IsInt()
  @Min(1)
  tensors = 200_000;

  /** Attributes of all nodes: five for each of the most nodes there may be. A convolution has six, most nodes none. */
  @IsInt()
  @Min(1)
  attributes = 1_000_000;

  /** Operators that differ in name. ONNX and its runtime have fewer than 500; exporters that write a function for each module have thousands. */
  @IsInt()
  @Min(1)
  operators = 10_000;

  /** Entries of the file's metadata; exporters write a few, trainers some dozens. */
  @IsInt()
  @Min(0)
  metadata = 10_000;

  /** Everything protobuf allocates an object for; the densest real files have about 14 messages a node, so this is more than the most nodes there may be come to. */
  @IsInt()
  @Min(1)
  messages = 3_000_000;

  /** Texts: names, string tensors, vocabularies. An empty one takes 2 bytes in the file and 32 in the runtime. */
  @IsInt()
  @Min(1)
  strings = 5_000_000;

  /**
   * Fields that no message of ONNX has, all together. Readers keep them, so what lies in them comes into memory without
   * anybody having looked at it; of the fields that a later ONNX adds to a model, a few bytes each, many fit.
   */
  @IsInt()
  @Min(0)
  unknownBytes = MIB;

  /** Dimensions of one tensor. ONNX operators go up to 5 or 6; transposed reshapes double that. */
  @IsInt()
  @Min(1)
  rank = 16;

  /** Inputs of the model. A generator has two for each of its layers. */
  @IsInt()
  @Min(1)
  inputs = 1_024;

  /** Outputs of the model; every request pays for each of them. */
  @IsInt()
  @Min(1)
  outputs = 1_024;

  /** Operator sets that a model may import; exporters that list all they know come to about fifteen. */
  @IsInt()
  @Min(1)
  opsets = 64;

  /** Files of external data; some exporters write one for each weight. */
  @IsInt()
  @Min(0)
  externalFiles = 2_048;

  /** One name of a value, an operator or a domain; exporters write module paths of about 200 bytes. */
  @IsInt()
  @Min(1)
  nameBytes = 1_024;

  /** One value of the file's metadata; longer ones are left out of the result, not refused. */
  @IsInt()
  @Min(0)
  @Max(MIB)
  metadataBytes = 64 * 1_024;

  /** Names, metadata and small constants that an inspection holds in memory. Real files need less than 8 MiB. */
  @IsInt()
  @Min(1)
  retainedBytes = 32 * MIB;

  /** Reasons in one refusal; nobody reads more, and the answer stays small. */
  @IsInt()
  @Min(1)
  faults = 50;
}
