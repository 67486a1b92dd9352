import { effectiveTask, zipMapClasses, type ModelVersion } from '@sibyl/registry';
import { UNKNOWN_TASK, type DecisionSource } from './decision';
import type { FeatureRule, InputSpec } from './model-contract';

/** Everything that a version says about requests and answers, from its manifest and, where that is silent, from its file. */
export interface ContractSource extends DecisionSource {
  readonly inputs: readonly InputSpec[];
  readonly features: readonly FeatureRule[];
}

/** The file's signature decides names and datatypes; the manifest adds shapes, columns, rules, classes and the decision. */
export function contractSource(version: ModelVersion): ContractSource {
  const { manifest, signature } = version;
  const inputs = signature.inputs.map((spec): InputSpec => {
    const declared = manifest.inputs?.find((input) => input.name === spec.name);
    const shape = declared?.shape ?? spec.shape;
    return {
      name: spec.name,
      datatype: spec.datatype,
      ...(shape === undefined ? {} : { shape }),
      ...(declared?.columns === undefined ? {} : { columns: declared.columns }),
    };
  });
  const outputs = signature.outputs.map((spec) => {
    const shape = manifest.outputs?.find((output) => output.name === spec.name)?.shape ?? spec.shape;
    return { name: spec.name, datatype: spec.datatype, ...(shape === undefined ? {} : { shape }) };
  });
  // A manifest writes classes as answers show them; the keys of a ZipMap are answered as what they are, numbers or texts.
  const keys = manifest.document['classes'] === undefined ? zipMapClasses(version.derived) : undefined;
  const classes = keys ?? manifest.classes;
  return {
    inputs,
    outputs,
    features: manifest.features ?? [],
    task: effectiveTask(manifest) ?? (keys ? 'classification' : UNKNOWN_TASK),
    ...(classes === undefined ? {} : { classes }),
    ...(manifest.decision === undefined ? {} : { decision: manifest.decision }),
  };
}
