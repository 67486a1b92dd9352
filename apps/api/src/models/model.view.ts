import type { Actor, FieldFault } from '@sibyl/kernel';
import type { TensorSpec } from '@sibyl/protocol';
import type {
  GivenApproval,
  AliasEvent,
  Approval,
  DerivedModel,
  ModelVersion,
  Page,
  SignatureRecord,
  ValidationReport,
  VersionSource,
} from '@sibyl/registry';
import { timestamp } from '@sibyl/kernel';
import type { ServedStatus } from './serving';

type View = Record<string, unknown>;

/** Members that are absent stay absent: what is not known is not guessed. */
export function known(members: View): View {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));
}

/** What lists show of a version. */
function summaryOf({ version, status, manifest, aliases }: ModelVersion): View {
  return known({
    version,
    status,
    accuracy: manifest.metrics['accuracy'],
    training_date: manifest.trainingDate,
    aliases,
  });
}

export function toModelListView(page: Page<ModelVersion>, loaded: (version: ModelVersion) => boolean): View {
  const models = page.items.map((version) => ({
    name: version.model,
    ...summaryOf(version),
    features: featureNames(version),
    loaded: loaded(version),
  }));
  return known({ models, next: page.next });
}

/** Names of what a request may send: the manifest's features, else the columns of its inputs, else the inputs themselves. */
function featureNames({ manifest, signature }: ModelVersion): string[] {
  if (manifest.features !== undefined) return manifest.features.map((feature) => feature.name);
  const inputs = manifest.inputs ?? signature.inputs;
  return inputs.flatMap((input) =>
    'columns' in input && input.columns !== undefined ? [...input.columns] : [input.name],
  );
}

export function toVersionsView(name: string, versions: readonly ModelVersion[]): View {
  return { model_name: name, versions: versions.map((version) => ({ ...summaryOf(version), digest: version.digest })) };
}

/** Signature, manifest, and how this process serves it. */
export function toModelInfoView(version: ModelVersion, served: ServedStatus | undefined): View {
  return known({
    name: version.model,
    ...summaryOf(version),
    digest: version.digest,
    task: version.manifest.task,
    description: version.manifest.description,
    features: featureNames(version),
    feature_set: version.manifest.featureSet,
    feature_set_version: version.featureSet,
    signature: toSignatureView(version),
    manifest: version.manifest.document,
    loaded: served?.loaded ?? false,
    provider: served?.provider,
    providers_asked: served?.providersAsked,
    provider_shares: served?.providerShares,
    memory_bytes: served?.memoryBytes,
    load_ms: served?.loadMs,
  });
}

export function toModelHealthView({ model, version }: ModelVersion, served: ServedStatus | undefined): View {
  const status: ServedStatus = served ?? { model, version, state: 'unloaded', loaded: false, ready: false };
  return known({
    name: model,
    version,
    ready: status.ready,
    state: status.state,
    reason: status.reason,
    provider: status.provider,
    latency_ms: status.latencyMs ?? null,
    batch_cost_ms: status.batchCost ? { fixed: status.batchCost.fixedMs, per_row: status.batchCost.perRowMs } : null,
    requests: status.requests ?? 0,
    errors: status.errors ?? 0,
    queue_depth: status.queueDepth ?? 0,
    last_used_at: status.lastUsedAtMs === undefined ? null : timestamp(status.lastUsedAtMs),
  });
}

/** All facts of a version. */
export function toVersionView(version: ModelVersion): View {
  return known({
    name: version.model,
    ...summaryOf(version),
    digest: version.digest,
    task: version.manifest.task,
    features: featureNames(version),
    feature_set: version.manifest.featureSet,
    feature_set_version: version.featureSet,
    signature: toSignatureView(version),
    manifest: version.manifest.document,
    files: version.files,
    onnx: toOnnxView(version),
    derived: version.derived && toDerivedView(version.derived),
    report: version.report && toReportView(version.report),
    package_signature: version.packageSignature && toPackageSignatureView(version.packageSignature),
    source: version.source && toSourceView(version.source),
    approvals: version.approvals.map(toApprovalView),
    registered_at: version.registeredAt,
    registered_by: toActorView(version.registeredBy),
    validated_at: version.validatedAt,
    changed_at: version.changedAt,
    changed_by: toActorView(version.changedBy),
    artifact: version.artifact && { intact: version.artifact.intact, checked_at: version.artifact.checkedAt },
    deletion: version.deletion && { ...version.deletion, actor: toActorView(version.deletion.actor) },
  });
}

/** Where the bytes of a version came from. */
function toSourceView(source: VersionSource): View {
  return known({
    uri: source.uri,
    resolved_uri: source.resolvedUri,
    fetched_at: source.fetchedAt,
    etag: source.etag,
    run_id: source.runId,
    logged_model_id: source.loggedModelId,
    registry_uri: source.registryUri,
    registry_version: source.registryVersion,
    instead_of: source.insteadOf,
  });
}

function toSignatureView({ signature }: ModelVersion): View {
  return { inputs: signature.inputs.map(toTensorView), outputs: signature.outputs.map(toTensorView) };
}

function toTensorView({ name, datatype, shape }: TensorSpec): View {
  return known({ name, datatype, shape });
}

function toOnnxView({ onnx }: ModelVersion): View {
  return known({
    ir_version: onnx.irVersion,
    producer: onnx.producer,
    opsets: onnx.opsets,
    node_count: onnx.nodeCount,
    operators: onnx.operators,
    external_files: onnx.externalFiles,
    initializer_bytes: onnx.initializerBytes,
  });
}

function toPackageSignatureView({ status, policy, signer, checkedAt }: SignatureRecord): View {
  return known({ status, policy, signer, checked_at: checkedAt });
}

/** What runs in place of the package's model, and what was changed for that. */
function toDerivedView({ file, sha256, bytes, changes }: DerivedModel): View {
  return {
    file,
    sha256,
    bytes,
    changes: changes.map(({ kind, pointer, reason, output, classes }) =>
      known({ kind, pointer, reason, output, classes }),
    ),
  };
}

function toApprovalView({ actor, at, reason, digest, policyRevision }: Approval): View {
  return { approved_by: toActorView(actor), approved_at: at, reason, digest, policy_revision: policyRevision };
}

function toReportView(report: ValidationReport): View {
  const { trial, golden } = report;
  return known({
    passed: report.passed,
    checked_at: report.checkedAt,
    reasons: report.reasons satisfies readonly FieldFault[],
    notes: report.notes,
    steps: report.steps?.map(({ name, passed, skipped, durationMs }) =>
      known({ name, passed, skipped, duration_ms: durationMs }),
    ),
    findings: report.findings,
    policy_revision: report.policyRevision,
    ignored_files: report.ignoredFiles,
    trial:
      trial &&
      known({
        provider: trial.provider,
        load_ms: trial.loadMs,
        memory_bytes: trial.memoryBytes,
        median_run_ms: trial.medianRunMs,
        observed_outputs: trial.observedOutputs.map(toTensorView),
        rows_independent: trial.rowsIndependent,
        batchable: trial.rowsIndependent === true,
        answers_no_rows: trial.answersNoRows,
        deterministic: trial.deterministic,
        batches: trial.batches?.map(({ rows, medianMs, memoryBytes }) => {
          return { rows, median_ms: medianMs, memory_bytes: memoryBytes };
        }),
      }),
    golden:
      golden &&
      known({
        source: golden.source,
        tolerance: golden.tolerance,
        compared: golden.compared,
        skipped: golden.skipped,
        miss_count: golden.missCount,
        misses: golden.misses,
        largest_difference: golden.largestDifference,
      }),
  });
}

export function toActorView(actor: Actor): View {
  return known({ type: actor.type, id: actor.id, key_id: actor.keyId, name: actor.name, owner: actor.owner });
}

/** An alias as it was at one time, with the move that made it so. */
export function toAliasView(event: AliasEvent): View {
  return known({
    model: event.model,
    alias: event.alias,
    version: event.version,
    digest: event.digest,
    previous_version: event.from,
    kind: event.kind,
    revision: event.revision,
    etag: event.etag,
    moved_at: event.at,
    moved_by: toActorView(event.actor),
    reason: event.reason,
    breaking: event.breaking,
    approvals: event.approvals?.map(toGivenApproval),
  });
}

/** An approval as what it led to keeps it. */
export function toGivenApproval({ actor, at, reason }: GivenApproval): View {
  return { approved_by: toActorView(actor), approved_at: at, reason };
}

export function toHistoryView(name: string, page: Page<AliasEvent>): View {
  return known({ model_name: name, items: page.items.map(toAliasView), next: page.next });
}

export function toUnloadedView(status: ServedStatus): View {
  return { name: status.model, version: status.version, loaded: false };
}

export function toLoadedView(status: ServedStatus): View {
  return known({
    name: status.model,
    version: status.version,
    loaded: status.loaded,
    ready: status.ready,
    provider: status.provider,
    memory_bytes: status.memoryBytes,
    load_ms: status.loadMs,
  });
}
