import { hasNaN } from '@sibyl/protocol';
import { effectiveTask, zipMapClasses, type FeatureNeeds } from '@sibyl/registry';
import { UNKNOWN_TASK, type DecisionSource } from './decision';
import { compileContract, type FeatureRule, type InputSpec, type ModelContract } from './model-contract';

/** Everything that a version says about requests and answers, from its manifest and, where that is silent, from its file. */
export interface ContractSource extends DecisionSource {
  readonly inputs: readonly InputSpec[];
  readonly features: readonly FeatureRule[];
}

/** The file's signature decides names and datatypes; the manifest adds shapes, columns, rules, classes and the decision. */
export function contractSource(version: FeatureNeeds, fixedBatch?: number): ContractSource {
  const { manifest, signature } = version;
  const inputs = signature.inputs.map((spec): InputSpec => {
    const declared = manifest.inputs?.find((input) => input.name === spec.name);
    const fixed = declared?.shape ?? spec.shape;
    // Requests may have any number of rows: they run in as many parts as it takes.
    const shape = fixed && fixedBatch !== undefined ? [-1, ...fixed.slice(1)] : fixed;
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
    features: manifest.features ?? undeclaredFeatures(version),
    task: effectiveTask(manifest) ?? (keys ? 'classification' : UNKNOWN_TASK),
    ...(classes === undefined ? {} : { classes }),
    ...(manifest.decision === undefined ? {} : { decision: manifest.decision }),
  };
}

/** What a version asks of requests, also before it is one. */
export function contractOf(version: FeatureNeeds): ModelContract {
  const { inputs, features } = contractSource(version);
  return compileContract(inputs, features);
}

/** Operators with an answer for missing values: tree ensembles have a side for them at each split. */
const TAKES_MISSING = /^ai\.onnx\.ml:(TreeEnsemble(Classifier|Regressor)?|Imputer)$/;

/**
 * Without a manifest the file tells whether `null` means something to the model. Somebody has to say it, though: a feature that
 * was forgotten is no missing value.
 */
function undeclaredFeatures({ manifest, signature, onnx }: FeatureNeeds): FeatureRule[] {
  if (manifest.inputs !== undefined || !Object.keys(onnx.operators).some((name) => TAKES_MISSING.test(name))) return [];
  return signature.inputs
    .filter(({ datatype }) => hasNaN(datatype))
    .map(({ name }) => ({ name, nullable: true, required: true }));
}
