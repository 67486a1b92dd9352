/** What is asked of the signatures of packages: nothing; that one that is there holds; that there is one, and holds. */
export const SIGNATURE_POLICIES = ['none', 'verify', 'require'] as const;
export type SignaturePolicy = (typeof SIGNATURE_POLICIES)[number];

/** What a model asks beyond what the server asks of all. */
export interface SignatureRules {
  readonly policy?: SignaturePolicy | undefined;
  /** Names or fingerprints of the trusted keys that may sign it; absent: all of them. */
  readonly signers?: readonly string[] | undefined;
}

/** The stricter of two policies: a model never asks for less than the server does. */
export function stricter(a: SignaturePolicy, b: SignaturePolicy): SignaturePolicy {
  return SIGNATURE_POLICIES.indexOf(a) >= SIGNATURE_POLICIES.indexOf(b) ? a : b;
}

/** What was found of a package's signature, by which policy and when. */
export interface SignatureRecord {
  /** `unchecked`: there is one, and the policy did not ask for it. */
  readonly status: 'verified' | 'unsigned' | 'unchecked';
  readonly policy: SignaturePolicy;
  readonly signer?: Signer;
  /** RFC 3339. */
  readonly checkedAt: string;
}

export interface Signer {
  /** As the file of the trusted key was called. */
  readonly name: string;
  readonly fingerprint: string;
  readonly algorithm: string;
}

/** The record as an event of the audit log has it; nothing where there was neither a signature nor a policy. */
export function auditedSignature(record: SignatureRecord | undefined): {
  readonly package_signature?: Record<string, unknown>;
} {
  if (!record) return {};
  const { status, policy, signer, checkedAt } = record;
  if (status === 'unsigned' && policy === 'none') return {};
  return { package_signature: { status, policy, ...(signer ? { signer } : {}), checked_at: checkedAt } };
}
