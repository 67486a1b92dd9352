import type { EntityManager } from 'typeorm';
import type { RecordChange } from '@sibyl/audit';
import { DomainError, type FieldFault } from '@sibyl/kernel';
import type { ModelVersion } from './model-version';
import { concludeChange, requireModel, versionResource } from './registry-change';

/** What a version says of the features that it takes. */
export type FeatureNeeds = Pick<ModelVersion, 'manifest' | 'signature' | 'onnx'> & {
  readonly derived?: ModelVersion['derived'] | undefined;
};

/** What the feature service has under the name that a manifest gives. */
export interface FoundFeatureSet {
  /** `name@sha256:...`; absent where there is no such set, or it can never fill the features of the version. */
  readonly reference?: string;
  /** Why it cannot serve the version, by its members and by its policy; empty where it can. */
  readonly faults: readonly FieldFault[];
}

/** Looks a set up as it is published now, for a version; told by those who know features. */
export type FindFeatureSet = (needs: FeatureNeeds, name: string) => Promise<FoundFeatureSet>;

/** A set and the version that it was found for. */
export interface FeatureSetPin extends Pick<ModelVersion, 'model' | 'version'> {
  /** `name@sha256:...` */
  readonly reference: string;
}

/**
 * Keeps the version of a feature set for a version of a model that has none yet: its set was published after it was validated.
 * Answers what it has then, which somebody else may have kept meanwhile.
 */
export async function pinFeatureSet(
  tx: EntityManager,
  { model, version, reference }: FeatureSetPin,
  record: RecordChange,
): Promise<string> {
  await requireModel(tx, model);
  const [row] = await tx.query<{ readonly feature_set: string | null; readonly digest: string }[]>(
    'SELECT feature_set, digest FROM registry.model_version WHERE model = $1 AND version = $2',
    [model, version],
  );
  if (row === undefined)
    throw new DomainError('version_not_found', `There is no version ${version} of model '${model}'.`);
  if (row.feature_set !== null) return row.feature_set;
  await tx.query(
    `UPDATE registry.model_version SET feature_set = $3, revision = revision + 1 WHERE model = $1 AND version = $2`,
    [model, version, reference],
  );
  await concludeChange(tx, model, record, {
    action: 'model.pin',
    resource: versionResource(model, version),
    model: { name: model, version, digest: row.digest },
    changes: { feature_set: { from: null, to: reference } },
  });
  return reference;
}

/** What readers of a report should know of the set that the manifest names. */
export function featureSetNotes(named: string | undefined, found: FoundFeatureSet | undefined): string[] {
  if (named === undefined || found === undefined || found.faults.length === 0) return [];
  const why = found.faults
    .slice(0, FAULTS_NOTED)
    .map(
      ({ pointer, expected, received }) =>
        `${pointer}: ${expected}${received === undefined ? '' : `, not ${received}`}`,
    );
  return [
    `The feature set '${named}' cannot serve the version, which is not promoted before it can: ${why.join('; ')}.`,
  ];
}

const FAULTS_NOTED = 8;

/** What an audit event keeps of the set that a validation found: what it was before, and is now. */
export function featureSetChange(
  from: string | null,
  { featureSet }: Pick<ModelVersion, 'featureSet'>,
): Readonly<Record<string, unknown>> {
  const to = featureSet ?? null;
  return to === from ? {} : { feature_set: { from, to } };
}
