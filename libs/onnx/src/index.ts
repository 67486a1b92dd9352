export { externalFilesOf, inspectOnnxFile } from './inspect-onnx-file';
export { signatureOf } from './signature-of';
export { OnnxLimits } from './onnx-limits';
export type { OnnxModel, OnnxValue } from './onnx-model';
