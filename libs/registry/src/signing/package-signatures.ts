import { DomainError, timestamp, type Clock } from '@sibyl/kernel';
import type { ArtifactStore } from '../artifact-store';
import { MANIFEST_FILE } from '../manifest-reader';
import type { PackageDigest, PackageFile } from '../package-digest';
import { readSmall } from '../package-files';
import type { RegistryOptions } from '../registry-options';
import { verifyPackage } from './package-signature';
import { badSignature, SIGNATURE_FILE, signatureRefused } from './signature-fault';
import { stricter, type SignatureRecord, type SignatureRules } from './signature-policy';
import { requireSignedName } from './signed-name';
import { isValidAt, readTrustedKeys } from './trusted-keys';

type SignatureOptions = Pick<
  RegistryOptions,
  'signaturePolicy' | 'trustedKeys' | 'signatureBytes' | 'files' | 'manifestBytes' | 'jsonDepth'
>;

export interface SignatureParts {
  readonly store: Pick<ArtifactStore, 'readFile'>;
  readonly clock: Clock;
  readonly options: SignatureOptions;
  /** What the policy of a model says of signatures. */
  readonly rulesOf: (model: string) => Promise<SignatureRules>;
  /** The same of all models that have a policy. */
  readonly allRules: () => Promise<ReadonlyMap<string, SignatureRules>>;
}

/** A package in the store. */
export interface StoredPackage {
  readonly model: string;
  readonly digest: PackageDigest;
  readonly files: readonly PackageFile[];
}

export interface StoredVersion extends StoredPackage {
  readonly version: string;
}

/** A package on its way into the store. */
export interface IncomingPackage {
  readonly model: string;
  readonly folder: string;
  readonly files: readonly PackageFile[];
  /** Files that lay beside those of a signed package and are not signed. */
  readonly unsignedFiles: readonly string[];
}

type ReadFile = (file: string, bytesMax: number) => Promise<Uint8Array | undefined>;

/**
 * Decides by the policy whether the signature of a package will do. Trusted keys are read anew each time, so that a key that
 * is taken away counts no more from the next promotion and load on, without a restart.
 */
export class PackageSignatures {
  /** Of the models that have a policy, since the registry was looked at first. */
  private known: ReadonlyMap<string, SignatureRules> | undefined;

  constructor(private readonly parts: SignatureParts) {}

  /** What lies where the trusted keys should, and could not be read as one. */
  async problems(): Promise<readonly string[]> {
    return (await readTrustedKeys(this.parts.options.trustedKeys)).problems;
  }

  /** Checks a package that is about to be stored. Throws model_rejected with the names of the files. */
  async checkIncoming({ model, folder, files, unsignedFiles }: IncomingPackage): Promise<SignatureRecord> {
    const read: ReadFile = (file, bytesMax) => readSmall(folder, file, bytesMax);
    return this.judge({ model, files, unsignedFiles }, await this.parts.rulesOf(model), read);
  }

  /** Checks a stored package by what is trusted now. Throws model_rejected. */
  async checkStored(stored: StoredPackage): Promise<SignatureRecord> {
    return this.judgeStored(stored, await this.parts.rulesOf(stored.model));
  }

  /** The same, by these rules, of a version that shall serve. Throws version_not_servable. */
  async checkServable(stored: StoredVersion, rules: SignatureRules): Promise<SignatureRecord> {
    try {
      return await this.judgeStored(stored, rules);
    } catch (error) {
      throw error instanceof DomainError && error.code === 'model_rejected' ? notServable(stored, error) : error;
    }
  }

  /** Checks a version before it is loaded, by what policies said when serving last looked: a load waits for no database. */
  async checkForLoad(stored: StoredVersion): Promise<SignatureRecord> {
    return this.checkServable(stored, await this.rulesForLoad(stored.model));
  }

  /** By what `checkForLoad` judges at this moment: another text where the policies or the keys that are valid have changed. */
  async trust(model: string): Promise<string> {
    const { signaturePolicy, trustedKeys } = this.parts.options;
    const now = this.parts.clock.now();
    const { keys } = await readTrustedKeys(trustedKeys);
    const valid = keys.map((key) => [key.name, key.fingerprint, isValidAt(key, now)]);
    return JSON.stringify([signaturePolicy, await this.rulesForLoad(model), valid]);
  }

  /** Reads anew what policies say; part of every look at the registry. */
  async learn(): Promise<void> {
    this.known = await this.parts.allRules();
  }

  private async rulesForLoad(model: string): Promise<SignatureRules> {
    return this.known ? (this.known.get(model) ?? {}) : this.parts.rulesOf(model);
  }

  private judgeStored({ model, digest, files }: StoredPackage, rules: SignatureRules): Promise<SignatureRecord> {
    const read: ReadFile = (file, bytesMax) => this.parts.store.readFile(digest, file, bytesMax);
    return this.judge({ model, files, unsignedFiles: [] }, rules, read);
  }

  private async judge(
    { model, files, unsignedFiles }: Omit<IncomingPackage, 'folder'>,
    rules: SignatureRules,
    read: ReadFile,
  ): Promise<SignatureRecord> {
    const { options, clock } = this.parts;
    // Never weaker than the server's.
    const policy = stricter(options.signaturePolicy, rules.policy ?? 'none');
    const found = { policy, checkedAt: timestamp(clock.now()) };
    const signed = files.some((file) => file.path === SIGNATURE_FILE);
    if (!signed && policy === 'require')
      throw signatureRefused('The package is not signed, and the policy requires a signature.', [
        { pointer: `/${SIGNATURE_FILE}`, expected: 'a signature by a trusted key', received: 'no such file' },
      ]);
    if (!signed) return { status: 'unsigned', ...found };
    if (policy === 'none') return { status: 'unchecked', ...found };
    const signature = await read(SIGNATURE_FILE, options.signatureBytes);
    if (!signature) throw badSignature('', 'the signature of the package', 'no such file');
    const { keys } = await readTrustedKeys(options.trustedKeys);
    const trust = { keys, signers: rules.signers, nowMs: clock.now(), filesMax: options.files };
    const { name, fingerprint, algorithm } = verifyPackage({ signature, files, unsignedFiles }, trust);
    if (policy === 'require') {
      const bytes = await read(MANIFEST_FILE, options.manifestBytes);
      requireSignedName(model, { bytes, files, depthMax: options.jsonDepth });
    }
    return { status: 'verified', ...found, signer: { name, fingerprint, algorithm } };
  }
}

/** What is wrong is the signature that is stored, not what anybody sends who needs the version. */
function notServable({ model, version }: StoredVersion, cause: DomainError): DomainError {
  const { detail, faults = [] } = cause;
  return new DomainError('version_not_servable', `Version ${version} of model '${model}' may not serve: ${detail}`, {
    faults,
    cause,
  });
}
