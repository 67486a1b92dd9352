import { DomainError, type FieldFault } from '@sibyl/kernel';
import { FaultList, parseFiniteObject, type JsonObject } from './json-document';
import { isName, NAME_MAX, Members } from './members';
import type { Manifest, ManifestDecision, ManifestRuntime, ManifestTensor } from './manifest';
import { readFeature } from './manifest-features';
import { modelNameFault, versionFault } from './names';
import { isPackagePath } from './package-path';
import { datatypeOf, definedOnly } from './optional';

export const MANIFEST_FILE = 'sibyl.json';

const TENSORS_MAX = 1024;
const FEATURES_MAX = 16_384;
const CLASSES_MAX = 65_536;
const DESCRIPTION_MAX = 10_000;
const WORD_MAX = 64;
const RANK_MAX = 16;
const FILES_MAX = 256;
const BUDGET_MOST_MS = 60_000;
const DEVICE_POLICIES = ['gpu_required', 'gpu_preferred', 'cpu_only'] as const;

/** Name and version that stand in where there is no manifest, or that must agree with it. */
export interface ExpectedIdentity {
  readonly name?: string;
  readonly version?: string;
}

/** Reads the bytes of sibyl.json (undefined: there is none). Throws model_rejected or manifest_mismatch with every fault. */
export function readManifest(bytes: Uint8Array | undefined, expected: ExpectedIdentity, depthMax: number): Manifest {
  const document = bytes === undefined ? {} : parseFiniteObject(bytes, MANIFEST_FILE, depthMax);
  return manifestOf(document, expected, bytes !== undefined);
}

/** A manifest that was checked when it came. Rules that were added since do not make a stored version unreadable. */
export function storedManifest(document: JsonObject, identity: Required<ExpectedIdentity>): Manifest {
  return readMembers(document, identity, new FaultList());
}

function manifestOf(document: JsonObject, expected: ExpectedIdentity, written: boolean): Manifest {
  const faults = new FaultList();
  const members = new Members(document, `/${MANIFEST_FILE}`, faults);
  const name = members.text('name', 128) ?? expected.name;
  const version = members.text('version', WORD_MAX) ?? expected.version;
  if (!faults.none) throw faulty(faults);
  if (name === undefined || version === undefined) throw missingIdentity(name, version, written);
  checkIdentity(members, name, version);
  const manifest = readMembers(document, { name, version }, faults);
  uniqueNames(manifest, faults);
  if (!faults.none) throw faulty(faults);
  agree(manifest, expected);
  return manifest;
}

function readMembers(document: JsonObject, { name, version }: Required<ExpectedIdentity>, faults: FaultList): Manifest {
  const members = new Members(document, `/${MANIFEST_FILE}`, faults);
  return definedOnly({
    name,
    version,
    task: members.text('task', WORD_MAX),
    description: members.text('description', DESCRIPTION_MAX),
    trainingDate: dateOf(members),
    metrics: members.objectOf('metrics') ?? {},
    inputs: members.entries('inputs', TENSORS_MAX)?.map(readTensor),
    features: members.entries('features', FEATURES_MAX)?.map(readFeature),
    featureSet: readFeatureSet(members),
    outputs: members.entries('outputs', TENSORS_MAX)?.map(readTensor),
    classes: readClasses(members),
    decision: readDecision(members.inner('decision')),
    calibration: members.objectOf('calibration'),
    baseline: members.objectOf('baseline'),
    native: readNative(members.inner('native')),
    runtime: readRuntime(members.inner('runtime')),
    files: readFiles(members, 'files'),
    document: { ...document, name, version },
  });
}

function faulty(faults: FaultList): DomainError {
  return new DomainError('model_rejected', 'The manifest has faults.', { faults: faults.faults });
}

function missingIdentity(name: string | undefined, version: string | undefined, written: boolean): DomainError {
  const missing: FieldFault[] = [];
  if (name === undefined) missing.push({ pointer: '/name', expected: 'a model name', received: 'nothing' });
  if (version === undefined) missing.push({ pointer: '/version', expected: 'a version', received: 'nothing' });
  const where = written
    ? 'Neither the manifest nor the request has'
    : 'A package without a manifest needs, in the request,';
  const detail = `${where} ${missing.map((fault) => fault.expected).join(' and ')}.`;
  return new DomainError('invalid_parameter', detail, { faults: missing });
}

function checkIdentity(members: Members, name: string, version: string): void {
  const nameFault = modelNameFault(name);
  if (nameFault) members.fault('name', nameFault);
  const fault = versionFault(version);
  if (fault) members.fault('version', fault);
}

function agree(manifest: Manifest, expected: ExpectedIdentity): void {
  const faults = (['name', 'version'] as const).flatMap((member): FieldFault[] => {
    const asked = expected[member];
    if (asked === undefined || asked === manifest[member]) return [];
    return [{ pointer: `/${MANIFEST_FILE}/${member}`, expected: asked, received: manifest[member] }];
  });
  if (faults.length === 0) return;
  throw new DomainError(
    'manifest_mismatch',
    `The manifest is of ${manifest.name} ${manifest.version}; the request says otherwise.`,
    {
      faults,
    },
  );
}

function dateOf(members: Members): string | undefined {
  const text = members.text('training_date', WORD_MAX);
  if (text === undefined) return undefined;
  if (/^\d{4}-\d{2}-\d{2}(?:[T ].*)?$/.test(text) && !Number.isNaN(Date.parse(text))) return text;
  return members.fault('training_date', 'a date or a time of RFC 3339');
}

const FEATURE_SET = /^[a-z][a-z0-9_]{0,62}(?:@(?:sha256:)?[0-9a-f]{12,64})?$/;

function readFeatureSet(members: Members): string | undefined {
  const reference = members.text('feature_set', 256);
  if (reference === undefined || FEATURE_SET.test(reference)) return reference;
  return members.fault('feature_set', 'the name of a feature set, or name@ and 12 or more digits of its hash');
}

function readTensor(members: Members): ManifestTensor {
  const name = members.name('name');
  const tensor = definedOnly({
    name: name ?? '',
    datatype: datatypeOf(members),
    shape: readShape(members),
    columns: members.names('columns', FEATURES_MAX),
  });
  const { shape, columns } = tensor;
  const last = shape?.at(-1);
  if (
    columns &&
    (columns.length === 0 || (shape && (last === undefined || (last !== -1 && last !== columns.length))))
  ) {
    members.fault('columns', `${last ?? 'one or more'} names, one for each index of the last dimension`);
  }
  return tensor;
}

function readShape(members: Members): readonly number[] | undefined {
  const list = members.list('shape', RANK_MAX);
  if (!list) return undefined;
  if (list.every((size): size is number => Number.isSafeInteger(size) && (size as number) >= -1)) return list;
  return members.fault('shape', 'whole numbers, -1 for a dimension of any size');
}

function readClasses(members: Members): readonly string[] | undefined {
  const list = members.list('classes', CLASSES_MAX);
  if (!list) return undefined;
  const labels = list.map(labelText);
  if (
    labels.length > 0 &&
    labels.every((label): label is string => label !== undefined && (label === '' || isName(label))) &&
    new Set(labels).size === labels.length
  )
    return labels;
  return members.fault('classes', 'distinct names or numbers, in the order of the probabilities');
}

/** A class as answers show it: exporters write numbers and booleans too. */
function labelText(label: unknown): string | undefined {
  return typeof label === 'string' || typeof label === 'number' || typeof label === 'boolean'
    ? String(label)
    : undefined;
}

function readDecision(members: Members | undefined): ManifestDecision | undefined {
  if (!members) return undefined;
  const threshold = members.number('threshold');
  if (threshold !== undefined && !(threshold >= 0 && threshold <= 1))
    members.fault('threshold', 'a number from 0 to 1');
  const positive = members.value('positive_class');
  const positiveClass = labelText(positive);
  if (positive !== undefined && positiveClass === undefined) members.fault('positive_class', 'one of the classes');
  const field = members.text('field', WORD_MAX);
  if (field !== undefined && !/^[A-Za-z][A-Za-z0-9_]*$/.test(field)) members.fault('field', 'letters, digits and _');
  return definedOnly({
    field,
    labelOutput: members.text('label_output', NAME_MAX),
    probabilityOutput: members.text('probability_output', NAME_MAX),
    logitOutput: members.text('logit_output', NAME_MAX),
    valueOutput: members.text('value_output', NAME_MAX),
    scoreOutput: members.text('score_output', NAME_MAX),
    positiveClass,
    threshold,
    probabilities: members.flag('probabilities'),
  });
}

function readNative(members: Members | undefined): Manifest['native'] {
  if (!members) return undefined;
  return definedOnly({ format: members.text('format', WORD_MAX), files: readFiles(members, 'files') ?? [] });
}

function readFiles(members: Members, name: string): readonly string[] | undefined {
  const files = members.names(name, FILES_MAX);
  if (files && !files.every(isPackagePath)) members.fault(name, 'relative paths of files in the package');
  return files;
}

function readRuntime(members: Members | undefined): ManifestRuntime | undefined {
  if (!members) return undefined;
  const word = members.value('device_policy');
  const devicePolicy = DEVICE_POLICIES.find((policy) => policy === word);
  if (word !== undefined && !devicePolicy) members.fault('device_policy', DEVICE_POLICIES.join(', '));
  const maxBatch = members.number('max_batch');
  if (maxBatch !== undefined && !(Number.isSafeInteger(maxBatch) && maxBatch >= 1))
    members.fault('max_batch', 'a whole number from 1');
  const batchBudgetMs = members.number('batch_budget_ms');
  if (batchBudgetMs !== undefined && !(batchBudgetMs > 0 && batchBudgetMs <= BUDGET_MOST_MS))
    members.fault('batch_budget_ms', `a number of milliseconds above 0, up to ${BUDGET_MOST_MS}`);
  return definedOnly({
    devicePolicy,
    maxBatch,
    batchBudgetMs,
    warmup: members.flag('warmup'),
    keepLoaded: members.flag('keep_loaded'),
  });
}

function uniqueNames(manifest: Manifest, faults: FaultList): void {
  for (const list of ['inputs', 'features', 'outputs'] as const) {
    const seen = new Set<string>();
    manifest[list]?.forEach((entry, i) => {
      if (seen.has(entry.name))
        faults.add(`/${MANIFEST_FILE}/${list}/${i}/name`, 'a name that is not in the list yet', entry.name);
      seen.add(entry.name);
    });
  }
}
