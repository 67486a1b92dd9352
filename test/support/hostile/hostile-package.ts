import { modelPackage, partsOf, type PackageFiles, type Part } from '../model-packages';

/** How an entry must be refused. */
export interface Refusal {
  readonly code: 'model_rejected' | 'manifest_mismatch' | 'invalid_parameter';
  /** Of one of the faults; left out where the refusal has none. */
  readonly pointer?: string;
  /** Stands in that fault, or in the detail where there is no pointer. */
  readonly says: string;
}

/** A package that somebody made in order to harm, or by a mistake that looks the same. */
export interface HostilePackage {
  /** Also the name of the model that it wants to be. */
  readonly name: string;
  /** What it tries. */
  readonly attack: string;
  readonly refused: Refusal;
  /** Harmless to look at, so that only running it tells: the version is kept as `rejected`, with its report. */
  readonly onlyByTrial?: true;
}

/** One that is uploaded, part by part. */
export interface HostileUpload extends HostilePackage {
  readonly parts: () => readonly Part[];
}

/** One that lies in a folder which imports may read: links and devices cannot be uploaded. */
export interface HostileFolder extends HostilePackage {
  readonly place: (folder: string) => void;
}

type Facts = Pick<HostilePackage, 'name' | 'attack' | 'refused'>;

/** A model file with an ordinary manifest. */
export function hostileModel(facts: Facts, model: () => Buffer): HostileUpload {
  return hostileFiles(facts, () => modelPackage(model(), { name: facts.name, version: '1' }));
}

export function hostileFiles(facts: Facts, files: () => PackageFiles): HostileUpload {
  return { ...facts, parts: () => partsOf(files()) };
}

/** Refused by the scan of the model file. */
export function byScan(pointer: string, says: string): Refusal {
  return { code: 'model_rejected', pointer, says };
}
