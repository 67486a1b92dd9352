import type { ApiBodyOptions } from '@nestjs/swagger';
import {
  ANYTHING,
  INSTANT,
  listOf,
  number,
  object,
  orNull,
  ref,
  text,
  truth,
  whole,
  type Schemas,
} from '../docs/schema';

const STATUS = text(undefined, { enum: ['registered', 'validated', 'rejected', 'approved', 'active', 'archived'] });
const FEATURE_SET_VERSION =
  'The version of that set that it takes its features from, `name@sha256:...`, whatever is published later; absent where none was found yet';
const DIGEST = text('`sha256:` and 64 hex digits');

const SUMMARY = {
  version: text(),
  status: STATUS,
  'accuracy?': number('From the metrics of the manifest'),
  'training_date?': text(),
  aliases: listOf(text()),
};

export const MODEL_SCHEMAS: Schemas = {
  ModelList: object({
    models: listOf(object({ name: text(), ...SUMMARY, features: listOf(text()), loaded: truth() })),
    'next?': text('Cursor of the next page'),
  }),
  VersionList: object({ model_name: text(), versions: listOf(object({ ...SUMMARY, digest: DIGEST })) }),
  Tensor: object({
    name: text(),
    datatype: text('As in the Open Inference Protocol'),
    'shape?': listOf(whole('-1 is any size')),
  }),
  Signature: object({ inputs: listOf(ref('Tensor')), outputs: listOf(ref('Tensor')) }),
  ModelDescription: object({
    name: text(),
    ...SUMMARY,
    digest: DIGEST,
    'task?': text(),
    'description?': text(),
    features: listOf(text()),
    'feature_set?': text('The feature set that fills what a request leaves out, as sibyl.json names it'),
    'feature_set_version?': text(FEATURE_SET_VERSION),
    signature: ref('Signature'),
    manifest: { ...ANYTHING, description: 'sibyl.json as it came, unknown members included' },
    loaded: truth(),
    'provider?': text('The execution provider that is really in use'),
    'providers_asked?': listOf(text()),
    'provider_shares?': {
      type: 'object',
      additionalProperties: { type: 'number' },
      description:
        'Part of the nodes of the graph that each provider computed in a run; absent where none has shown it',
    },
    'memory_bytes?': whole(),
    'load_ms?': number(),
  }),
  ModelHealth: object({
    name: text(),
    version: text(),
    ready: truth(),
    state: text(undefined, { enum: ['unloaded', 'loading', 'ready', 'unloading', 'unavailable'] }),
    'reason?': text(),
    'provider?': text(),
    latency_ms: orNull(number('What a batch takes at present')),
    batch_cost_ms: orNull(
      object(
        { fixed: number('Whatever the batch holds'), per_row: number('For each row') },
        { description: 'What a batch is expected to take' },
      ),
    ),
    requests: whole(),
    errors: whole(),
    queue_depth: whole(),
    last_used_at: orNull(INSTANT),
  }),
  ModelVersion: object({
    name: text(),
    ...SUMMARY,
    digest: DIGEST,
    'task?': text(),
    features: listOf(text()),
    'feature_set?': text('The feature set that fills what a request leaves out, as sibyl.json names it'),
    'feature_set_version?': text(FEATURE_SET_VERSION),
    signature: ref('Signature'),
    manifest: ANYTHING,
    files: listOf(object({ path: text(), sha256: text(), bytes: whole() })),
    onnx: ANYTHING,
    'source?': object({
      uri: text('As it was asked for, without the query of a web address.'),
      'resolved_uri?': text('With nothing left to look up: aliases and stages became versions.'),
      fetched_at: INSTANT,
      'etag?': text('Of the model file.'),
      'run_id?': text(),
      'logged_model_id?': text(),
      'registry_uri?': text('The MLflow server that it came from.'),
      'registry_version?': text('Its number there.'),
      'instead_of?': text('The stage for which this version stands in.'),
    }),
    'derived?': object({
      file: text(),
      sha256: text(),
      bytes: whole(),
      changes: listOf(object({ kind: text(), pointer: text(), reason: text() }, { additionalProperties: true })),
    }),
    'report?': object(
      {
        passed: truth(),
        checked_at: INSTANT,
        reasons: listOf(ANYTHING),
        notes: listOf(text()),
        'steps?': listOf(
          object({
            name: text(undefined, {
              enum: ['scan', 'load', 'signature', 'golden', 'determinism', 'rows', 'latency', 'metrics'],
            }),
            'passed?': truth('Absent where it was not done'),
            'skipped?': text('Why it was not done'),
            duration_ms: number(),
          }),
        ),
        'findings?': text('Digest of what the model was found to be: approvals end when it changes'),
        'policy_revision?': whole('Of the policy that its metrics were held to; 0 where none was set'),
      },
      { additionalProperties: true },
    ),
    'package_signature?': object(
      {
        status: text('`unchecked`: there is a signature, and the policy did not ask for it', {
          enum: ['verified', 'unsigned', 'unchecked'],
        }),
        policy: text(undefined, { enum: ['none', 'verify', 'require'] }),
        'signer?': object({
          name: text('As the file of the trusted key is called'),
          fingerprint: text('`sha256:` and what `sha256sum` prints of the public key in PEM'),
          algorithm: text(undefined, { enum: ['ecdsa-p256', 'ecdsa-p384', 'ecdsa-p521', 'ed25519'] }),
        }),
        checked_at: INSTANT,
      },
      { description: 'What was last found of the signature of its package' },
    ),
    approvals: listOf(
      object({
        approved_by: ref('Actor'),
        approved_at: INSTANT,
        reason: text(),
        digest: DIGEST,
        policy_revision: whole(),
      }),
    ),
    registered_at: INSTANT,
    registered_by: ref('Actor'),
    'validated_at?': INSTANT,
    changed_at: INSTANT,
    changed_by: ref('Actor'),
    'artifact?': object(
      { intact: truth(), checked_at: INSTANT },
      { description: 'What the last look at its stored bytes found; absent before the first' },
    ),
    'deletion?': object(
      { at: INSTANT, actor: ref('Actor'), reason: text() },
      { description: 'When, by whom and why its bytes were deleted' },
    ),
  }),
  ArtifactFindings: object({
    checked: whole('Packages that were read'),
    damaged: listOf(object({ model: text(), version: text(), digest: DIGEST, files: listOf(text()) })),
  }),
  UploadState: object({ digest: DIGEST, offset: whole('The next byte to send'), complete: truth() }),
  Actor: object({
    type: text(),
    id: text(),
    'key_id?': text(),
    name: text(),
    'owner?': text('Who answers for the key'),
  }),
  LoadedModel: object({
    name: text(),
    version: text(),
    loaded: truth(),
    ready: truth(),
    'provider?': text(),
    'memory_bytes?': whole(),
    'load_ms?': number(),
  }),
  UnloadedModel: object({ name: text(), version: text(), loaded: truth() }),
  Alias: object({
    model: text(),
    alias: text(),
    version: text(),
    digest: DIGEST,
    'previous_version?': text(),
    kind: text(undefined, { enum: ['move', 'rollback', 'computed'] }),
    revision: whole(),
    etag: text('For If-Match, quotes included'),
    moved_at: INSTANT,
    moved_by: ref('Actor'),
    reason: text(),
    'breaking?': listOf(ref('BreakingChange')),
    'approvals?': listOf(object({ approved_by: ref('Actor'), approved_at: INSTANT, reason: text() })),
  }),
  BreakingChange: object({
    pointer: text('Place in the contract: inputs, features, outputs, classes, decision, task'),
    expected: text('What callers rely on'),
    received: text('What the version has'),
    'hint?': text(),
  }),
  AliasHistory: object({ model_name: text(), items: listOf(ref('Alias')), 'next?': text() }),
};

/** The two bodies of a registration; multipart cannot be told from a DTO. */
export const PACKAGE_BODY: ApiBodyOptions = {
  description:
    'The files of a package, or where they lie. `curl -F "f=@model.onnx" -F "f=@sibyl.json" -F "f=@golden.json"` sends one.',
  schema: {
    type: 'object',
    properties: {
      version: { type: 'string', description: 'The version, where the package has no manifest.' },
      files: {
        type: 'object',
        additionalProperties: { type: 'string' },
        description:
          'JSON only: path of each file → `sha256:…` of bytes that are here already, `PUT …/uploads/{sha256}`.',
      },
      source_uri: { type: 'string', description: 'JSON only: a path or `file:` URI under the import folders.' },
    },
    additionalProperties: true,
  },
};
