import type { Tensor } from '@sibyl/protocol';
import type { ModelVersion, RegistrySnapshot } from '@sibyl/registry';

/** Where the reconciler learns what should serve, and gets the bytes of it. */
export interface ServingSource {
  snapshot(): Promise<RegistrySnapshot>;
  /** Rejects where the signature policy refuses the version by the keys that are trusted now. */
  checkSignature(version: ModelVersion): Promise<void>;
  /** By what the signature of the version is judged at present: another text where that has changed. */
  signatureTrust(version: ModelVersion): Promise<string>;
  /** A local folder with the package, its bytes checked against the digest. */
  artifactFolder(digest: string): Promise<string>;
  /** The file in it, or made of it, that runs; checked too. */
  modelFile(folder: string, version: ModelVersion): Promise<string>;
  /** Rejects where these are not what they were; quick where nothing has touched them. */
  recheckArtifact(version: ModelVersion): Promise<unknown>;
  /** Inputs of the version's golden samples, out of that folder. */
  sampleInputs(folder: string, version: ModelVersion): Promise<readonly (readonly Tensor[])[]>;
}
