import type { EntityManager } from 'typeorm';
import type { SignatureRecord } from './signature-policy';

/** Keeps what was last found of a version's signature; the model must be locked. */
export async function keepSignature(
  tx: EntityManager,
  { model, version }: { readonly model: string; readonly version: string },
  record: SignatureRecord,
): Promise<void> {
  await tx.query('UPDATE registry.model_version SET package_signature = $3 WHERE model = $1 AND version = $2', [
    model,
    version,
    JSON.stringify(record),
  ]);
}
