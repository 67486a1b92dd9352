import { DomainError, type FieldFault } from '@sibyl/kernel';
import { allocate, elementWriter, type ModelSignature, type TensorSpec } from '@sibyl/protocol';
import { FaultList, pointerTo } from './json-document';
import { effectiveTask, type Manifest, type ManifestFeature, type ManifestTensor } from './manifest';
import { MANIFEST_FILE } from './manifest-reader';

const OUTPUT_ROLES = {
  labelOutput: 'label_output',
  probabilityOutput: 'probability_output',
  logitOutput: 'logit_output',
  valueOutput: 'value_output',
  scoreOutput: 'score_output',
} as const;

/** Throws manifest_mismatch with every point in which the manifest contradicts the file or itself. */
export function checkManifest(manifest: Manifest, signature: ModelSignature): void {
  const faults = signatureFaults(manifest, signature);
  if (faults.length === 0) return;
  throw new DomainError('manifest_mismatch', 'The manifest and the model file contradict each other.', { faults });
}

/** What the manifest says that the file does not bear out. Output shapes are left to the trial: converters declare wrong ones. */
export function signatureFaults(manifest: Manifest, signature: ModelSignature): readonly FieldFault[] {
  const faults = new FaultList();
  checkTensors(manifest.inputs, signature.inputs, 'inputs', faults);
  checkTensors(manifest.outputs, signature.outputs, 'outputs', faults);
  checkFeatures(manifest, signature, faults);
  checkDecision(manifest, signature, faults);
  return faults.faults;
}

/** What the manifest says of outputs that a run of the model showed to be otherwise. */
export function observedFaults(manifest: Manifest, observed: readonly TensorSpec[]): readonly FieldFault[] {
  const faults = new FaultList();
  manifest.outputs?.forEach((output, i) => {
    const actual = observed.find((spec) => spec.name === output.name)?.shape;
    if (!output.shape || !actual || shapesAgree(output.shape, actual)) return;
    faults.add(
      `/${MANIFEST_FILE}/outputs/${i}/shape`,
      `[${actual.join(',')}], as the model answered`,
      `[${output.shape.join(',')}]`,
    );
  });
  checkClasses(manifest, observed, faults);
  return faults.faults;
}

function checkTensors(
  declared: readonly ManifestTensor[] | undefined,
  actual: readonly TensorSpec[],
  list: 'inputs' | 'outputs',
  faults: FaultList,
): void {
  declared?.forEach((tensor, i) => {
    const pointer = `/${MANIFEST_FILE}/${list}/${i}`;
    const spec = actual.find((candidate) => candidate.name === tensor.name);
    if (!spec) {
      faults.add(
        `${pointer}/name`,
        `one of ${names(actual)}`,
        tensor.name,
        `The model file has no ${list.slice(0, -1)} of this name.`,
      );
      return;
    }
    if (tensor.datatype && tensor.datatype !== spec.datatype)
      faults.add(`${pointer}/datatype`, spec.datatype, tensor.datatype);
    if (list === 'inputs') checkInputShape(tensor, spec, pointer, faults);
  });
}

// The runtime holds callers to the input shapes of the file, so a manifest that promises more would break every such request.
function checkInputShape(tensor: ManifestTensor, spec: TensorSpec, pointer: string, faults: FaultList): void {
  if (!spec.shape) return;
  const { shape, columns } = tensor;
  const fits =
    shape?.length === spec.shape.length && shape.every((size, i) => spec.shape?.[i] === -1 || spec.shape?.[i] === size);
  if (shape && !fits) {
    faults.add(`${pointer}/shape`, `[${spec.shape.join(',')}], as the file has it`, `[${shape.join(',')}]`);
    return;
  }
  const last = spec.shape.at(-1);
  if (columns && (last === undefined || (last !== -1 && last !== columns.length))) {
    faults.add(`${pointer}/columns`, `${last ?? 'no'} names, for the last dimension of the file's input`, columns);
  }
}

function checkFeatures(manifest: Manifest, signature: ModelSignature, faults: FaultList): void {
  columnsOnce(manifest, faults);
  // The features of language models are texts, which become tensors in the tokenizer.
  const task = effectiveTask(manifest);
  if (task === 'embedding' || task === 'text-generation') return;
  manifest.features?.forEach((feature, i) => {
    const pointer = `/${MANIFEST_FILE}/features/${i}`;
    const column = manifest.inputs?.find((input) => input.columns?.includes(feature.name));
    const spec = signature.inputs.find((input) => input.name === (column?.name ?? feature.name));
    if (!spec) {
      faults.add(`${pointer}/name`, 'the name of a column or of an input of the model', feature.name);
    } else if (feature.datatype && (feature.datatype === 'BYTES') !== (spec.datatype === 'BYTES')) {
      faults.add(`${pointer}/datatype`, `${spec.datatype}, as the input '${spec.name}' has it`, feature.datatype);
    } else checkDefault(feature, spec, pointer, faults);
  });
}

// What the input cannot hold would be refused whenever it stood in for something.
function checkDefault(feature: ManifestFeature, spec: TensorSpec, pointer: string, faults: FaultList): void {
  const { defaultValue, nullable } = feature;
  const write = elementWriter(spec.datatype);
  const element = allocate(spec.datatype, 1);
  for (const value of Array.isArray(defaultValue) ? defaultValue.flat(Infinity) : [defaultValue]) {
    if (value === undefined || (value === null && nullable === true)) continue;
    const fault = write(element, 0, value);
    if (fault === undefined) continue;
    faults.add(`${pointer}/default`, `${fault.expected}, as the input '${spec.name}' has it`, value);
    return;
  }
}

// A request names features, so one name may stand for one place only.
function columnsOnce(manifest: Manifest, faults: FaultList): void {
  const seen = new Set<string>();
  manifest.inputs?.forEach((input, i) => {
    for (const column of input.columns ?? []) {
      if (seen.has(column))
        faults.add(`/${MANIFEST_FILE}/inputs/${i}/columns`, 'names that no other input has', column);
      seen.add(column);
    }
  });
}

function checkDecision(manifest: Manifest, signature: ModelSignature, faults: FaultList): void {
  const { decision, classes } = manifest;
  const pointer = `/${MANIFEST_FILE}/decision`;
  for (const [role, member] of Object.entries(OUTPUT_ROLES) as [keyof typeof OUTPUT_ROLES, string][]) {
    const name = decision?.[role];
    if (name !== undefined && !signature.outputs.some((output) => output.name === name)) {
      faults.add(pointerTo(pointer, member), `one of ${names(signature.outputs)}`, name);
    }
  }
  if (decision?.positiveClass !== undefined && classes && !classes.includes(decision.positiveClass)) {
    faults.add(
      `${pointer}/positive_class`,
      `one of the classes ${classes.slice(0, 10).join(', ')}`,
      decision.positiveClass,
    );
  }
  // Only what the manifest itself declares is compared here; what the file declares is not to be relied on.
  checkClasses(manifest, manifest.outputs ?? [], faults);
}

function checkClasses(
  manifest: Manifest,
  outputs: readonly { name: string; shape?: readonly number[] }[],
  faults: FaultList,
): void {
  const { classes, decision } = manifest;
  const scores = decision?.probabilityOutput ?? decision?.logitOutput;
  const shape = outputs.find((output) => output.name === scores)?.shape;
  const width = shape && shape.length > 1 ? shape.at(-1) : undefined;
  if (!classes || width === undefined || width === -1 || width === classes.length) return;
  // One column is the score of the positive class of two.
  if (width === 1 && classes.length === 2) return;
  faults.add(`/${MANIFEST_FILE}/classes`, `${width} classes, one for each column of '${scores ?? ''}'`, classes);
}

function shapesAgree(declared: readonly number[], actual: readonly number[]): boolean {
  return (
    declared.length === actual.length &&
    declared.every((size, i) => size === -1 || actual[i] === -1 || size === actual[i])
  );
}

function names(specs: readonly TensorSpec[]): string {
  return specs
    .slice(0, 10)
    .map((spec) => `'${spec.name.slice(0, 64)}'`)
    .join(', ');
}
