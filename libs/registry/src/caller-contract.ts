import type { Datatype, ModelSignature, TensorSpec } from '@sibyl/protocol';
import { effectiveTask, type FeatureValue, type Manifest, type ManifestFeature } from './manifest';
import { definedOnly } from './optional';

/** What callers rely on in a version: what they may send, by name or as tensors, and what the answer is made of. */
export interface CallerContract {
  readonly task: string | undefined;
  readonly inputs: readonly CallerInput[];
  readonly outputs: readonly TensorSpec[];
  readonly features: readonly CallerFeature[];
  readonly classes: readonly string[] | undefined;
  readonly decision: CallerDecision;
}

export interface CallerInput extends TensorSpec {
  /** Names of the last dimension. */
  readonly columns?: readonly string[];
}

export interface CallerFeature {
  readonly name: string;
  readonly datatype: Datatype;
  /** Whether a request that leaves it out is refused. */
  readonly required: boolean;
  readonly nullable: boolean;
  readonly min?: number;
  readonly max?: number;
  readonly allowed?: readonly FeatureValue[];
  readonly defaultValue?: unknown;
}

export interface CallerDecision {
  /** Member of the answer that carries the label, value or score. */
  readonly field: string;
  /** The output that it is read from, where the manifest names one. */
  readonly output?: string;
  readonly probabilities: boolean;
  readonly positiveClass?: string;
  readonly threshold?: number;
}

/** The file's signature decides names and datatypes; the manifest adds shapes, columns, rules, classes and the decision. */
export function callerContract(version: {
  readonly manifest: Manifest;
  readonly signature: ModelSignature;
}): CallerContract {
  const { manifest, signature } = version;
  const inputs = signature.inputs.map((spec): CallerInput => {
    const declared = manifest.inputs?.find(({ name }) => name === spec.name);
    return definedOnly({ ...spec, shape: declared?.shape ?? spec.shape, columns: declared?.columns });
  });
  const outputs = signature.outputs.map((spec): TensorSpec => {
    const shape = manifest.outputs?.find(({ name }) => name === spec.name)?.shape ?? spec.shape;
    return definedOnly({ ...spec, shape });
  });
  return {
    task: effectiveTask(manifest),
    inputs,
    outputs,
    features: inputs.flatMap((input) => featuresOf(input, manifest.features ?? [])),
    classes: manifest.classes,
    decision: decisionOf(manifest),
  };
}

/** Inputs without columns are features of their own. */
function featuresOf(input: CallerInput, rules: readonly ManifestFeature[]): CallerFeature[] {
  return (input.columns ?? [input.name]).map((name) => {
    const { datatype, nullable, min, max, allowed, defaultValue } = rules.find((rule) => rule.name === name) ?? {};
    return definedOnly({
      name,
      datatype: datatype ?? input.datatype,
      required: defaultValue === undefined && nullable !== true,
      nullable: nullable === true,
      ...{ min, max, allowed, defaultValue },
    });
  });
}

function decisionOf({ decision = {}, task }: Manifest): CallerDecision {
  const { labelOutput, probabilityOutput, logitOutput, valueOutput, scoreOutput, positiveClass, threshold } = decision;
  const isScore = valueOutput === undefined && scoreOutput !== undefined;
  const fallback = isScore ? 'score' : task === 'regression' || valueOutput !== undefined ? 'value' : 'label';
  return definedOnly({
    field: decision.field ?? fallback,
    output: labelOutput ?? probabilityOutput ?? logitOutput ?? valueOutput ?? scoreOutput,
    probabilities: decision.probabilities === true,
    ...{ positiveClass, threshold },
  });
}
