import type { EntityManager } from 'typeorm';
import type { PackageSignatures, StoredPackage } from './package-signatures';
import type { SignatureRecord } from './signature-policy';

/**
 * Checks the signature of the version that an alias is to point at, and keeps what was found; the model must be locked. A version
 * whose signer is trusted no more is not promoted, though it goes on where it serves.
 */
export async function checkSigned(
  tx: EntityManager,
  signatures: Pick<PackageSignatures, 'checkStored'>,
  model: string,
  { version, digest, files }: Omit<StoredPackage, 'model'> & { readonly version: string },
): Promise<SignatureRecord> {
  const record = await signatures.checkStored({ model, digest, files }, tx);
  await tx.query('UPDATE registry.model_version SET package_signature = $3 WHERE model = $1 AND version = $2', [
    model,
    version,
    JSON.stringify(record),
  ]);
  return record;
}
