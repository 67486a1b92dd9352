export {
  DATATYPES,
  TYPED_ARRAYS,
  allocate,
  elementBytes,
  isDatatype,
  type Datatype,
  type NumericTensorData,
  type TensorData,
} from './datatype';
export { elementCount, type ModelSignature, type Tensor, type TensorSpec } from './tensor';
export { firstRow, sameRows, stackRows } from './stack';
export { float16ToNumber, numberToFloat16 } from './float16';
export { FLOAT32_MAX, elementWriter, hasNaN, writeNaN, type ElementFault, type ElementWriter } from './element';
export { endOfString, PlainScanner } from './plain-scanner';
export {
  decodeNested,
  describe,
  encodeNested,
  numberAt,
  NestedReading,
  ReadNested,
  type DecodeOptions,
} from './nested';
export { areLong, encodeLong, GrowingText, joinJson, LongText, type JsonText } from './long-text';
export {
  EXECUTION_PROVIDERS,
  executionProvider,
  installedProviders,
  type ExecutionProvider,
} from './execution-providers';
export {
  FRAME_TYPES,
  FrameError,
  FrameTooLargeError,
  type DeclaredTensor,
  type FailedMessage,
  type FrameType,
  type LoadMessage,
  type LoadedMessage,
  type PlacementMessage,
  type ReadyMessage,
  type UnloadedMessage,
} from './runner-frame';
export { FrameDecoder, frameMessage, frameTensors, type FramedTensor, type RunnerFrame } from './frame-decoder';
export { FrameEncoder } from './frame-encoder';
