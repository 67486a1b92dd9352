import { DomainError, type FieldFault } from '@sibyl/kernel';

/** Where a package carries its signature, as the OpenSSF tools write it. */
export const SIGNATURE_FILE = 'model.sig';

const TEXT_MAX = 120;

/** The signature does not hold, or not for these files: refused with the names of the files. */
export function signatureRefused(detail: string, faults: readonly FieldFault[]): DomainError {
  return new DomainError('model_rejected', detail, { faults });
}

/** Something about the signature file itself; `at` is a pointer into it. */
export function badSignature(at: string, expected: string, received: string, hint?: string): DomainError {
  return signatureRefused(`The signature in ${SIGNATURE_FILE} is refused.`, [
    { pointer: `/${SIGNATURE_FILE}${at}`, expected, received, ...(hint ? { hint } : {}) },
  ]);
}

/** A stranger's text as a fault may show it. */
export function shownText(value: unknown): string {
  if (value === undefined || value === null) return 'nothing';
  if (typeof value !== 'string') return Array.isArray(value) ? `an array of ${value.length}` : `a ${typeof value}`;
  const plain = value.slice(0, TEXT_MAX).replace(/[^\x20-\x7e]/g, '?');
  return value.length > TEXT_MAX ? `${plain}…` : plain;
}
