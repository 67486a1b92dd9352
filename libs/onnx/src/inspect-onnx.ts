import type { OnnxModel } from './onnx-model';
import { OnnxLimits } from './onnx-limits';
import { OnnxScan } from './onnx-scan';
import { ByteWindow } from './wire/byte-window';

/**
 * Reads a model from memory. It cannot see what lies beside a file: external data is checked by name and listed, but
 * whether the files exist and are large enough only `inspectOnnxFile` can tell. Throws `model_rejected`.
 */
export function inspectOnnx(bytes: Uint8Array, limits: OnnxLimits = new OnnxLimits()): OnnxModel {
  const scan = new OnnxScan(ByteWindow.over(bytes), limits);
  scan.start(bytes);
  scan.advance();
  return scan.finish();
}
