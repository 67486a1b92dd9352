import type { FieldFault } from '@sibyl/kernel';
import type { ModelSignature, TensorSpec } from '@sibyl/protocol';
import type { OnnxModel, OnnxValue } from './onnx-model';
import { refusal } from './refusal';

const ZIPMAP_HINT =
  "This is a ZipMap. Switch it off: convert_sklearn(model, options={id(model): {'zipmap': False}}), or zipmap=False in onnxmltools.";

/** Inputs and outputs as tensors; throws `model_rejected` when some are not. */
export function signatureOf(model: OnnxModel): ModelSignature {
  const faults: FieldFault[] = [];
  const inputs = specs('/graph/input', model.inputs, faults);
  const outputs = specs('/graph/output', model.outputs, faults);
  if (faults.length > 0) throw refusal(faults);
  return { inputs, outputs };
}

function specs(pointer: string, values: readonly OnnxValue[], faults: FieldFault[]): TensorSpec[] {
  return values.flatMap(({ name, index, kind, type, datatype, shape }) => {
    if (kind === 'tensor' && datatype !== undefined) return [{ name, datatype, ...(shape && { shape }) }];
    faults.push({
      pointer: `${pointer}/${index}`,
      expected: 'a tensor',
      received: type,
      ...(type.includes('map(') ? { hint: ZIPMAP_HINT } : {}),
    });
    return [];
  });
}
