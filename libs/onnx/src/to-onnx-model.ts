import { elementType } from './element-types';
import type { Inspection } from './inspection';
import type { DeclaredType, DeclaredValue } from './model-facts';
import type { OnnxModel, OnnxValue } from './onnx-model';

const UNTYPED: DeclaredType = { kind: 'unknown', text: '' };

/** The result of an inspection that found nothing wrong. */
export function toOnnxModel(inspection: Inspection): OnnxModel {
  const { facts } = inspection;
  const producer = `${facts.producerName} ${facts.producerVersion}`.trim();
  return {
    irVersion: facts.irVersion ?? 0,
    ...(producer === '' ? {} : { producer }),
    opsets: facts.opsets,
    inputs: facts.inputs.filter(({ name }) => !facts.initializers.has(name)).map(toValue),
    outputs: facts.outputs.map(toValue),
    nodeCount: inspection.nodes,
    // Defines members one by one, so that even an operator called __proto__ is only a name.
    operators: Object.fromEntries([...facts.operators].sort(([a], [b]) => (a < b ? -1 : 1))),
    externalFiles: [...facts.externalFiles.keys()].sort(),
    initializerBytes: inspection.tensorBytes,
    metadata: Object.fromEntries(facts.metadata),
  };
}

function toValue({ name, index, type = UNTYPED }: DeclaredValue): OnnxValue {
  const datatype = type.element === undefined ? undefined : elementType(type.element)?.datatype;
  return {
    name,
    index,
    kind: type.kind,
    type: type.text,
    ...(datatype === undefined ? {} : { datatype }),
    ...(type.shape === undefined ? {} : { shape: type.shape }),
    ...(type.dimensionNames === undefined ? {} : { dimensionNames: type.dimensionNames }),
  };
}
