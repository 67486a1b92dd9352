export { externalFilesOf, inspectOnnxFile } from './inspect-onnx-file';
export { planDerivedFile, writeDerivedFile, type DerivedFile } from './rewrite-onnx-file';
export type { ClassKey, OnnxChange } from './rewrite/onnx-rewrite';
export { signatureOf } from './signature-of';
export { OnnxLimits } from './onnx-limits';
export type { OnnxModel, OnnxValue } from './onnx-model';
