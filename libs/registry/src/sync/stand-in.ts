import type { RecordChange } from '@sibyl/audit';
import type { Database } from '@sibyl/database';
import { timestamp, type Clock } from '@sibyl/kernel';
import type { ModelVersion } from '../model-version';
import { concludeChange, lockModel, versionResource } from '../registry-change';

/** Says of a version that it stands in for what a stage lacks, or no longer does; what serves hears of it as of any change. */
export async function markStandIn(
  { database, clock }: { readonly database: Database; readonly clock: Clock },
  { model, version, digest, source }: ModelVersion,
  insteadOf: string | undefined,
  record: RecordChange,
): Promise<void> {
  const { insteadOf: before, ...rest } = source ?? { uri: '', fetchedAt: timestamp(clock.now()) };
  if (before === insteadOf) return;
  const marked = { ...rest, ...(insteadOf === undefined ? {} : { insteadOf }) };
  await database.transaction(async (tx) => {
    await lockModel(tx, model);
    await tx.query(
      'UPDATE registry.model_version SET source = $3, revision = revision + 1 WHERE model = $1 AND version = $2',
      [model, version, JSON.stringify(marked)],
    );
    await concludeChange(tx, model, record, {
      action: 'model.sync',
      resource: versionResource(model, version),
      model: { name: model, version, digest },
      changes: { instead_of: { from: before ?? null, to: insteadOf ?? null } },
    });
  });
}
