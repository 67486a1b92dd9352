import type { Readable } from 'node:stream';

/** Where a file goes on that broke off: only if it is still the same. */
export interface ResumeAt {
  readonly offset: number;
  readonly validator: string;
}

/** Bytes of a file on their way. */
export interface RemoteBody {
  readonly bytes: Readable;
  /** Where in the file they begin: 0, or what was asked for. */
  readonly from: number;
  /** Of the whole file, where the place says so. */
  readonly total?: number;
  /** They end here on purpose, and the rest is asked for next. */
  readonly until?: number;
  /** What tells this content from any other: without one a broken file begins anew. */
  readonly validator?: string;
}

/** What is kept with a version of where it came from. */
export interface VersionSource {
  /** As it was asked for, without a query: that of a web address may be a signature, and this is kept and shown. */
  readonly uri: string;
  /** With nothing left to look up: aliases and stages became versions. */
  readonly resolvedUri?: string;
  readonly fetchedAt: string;
  /** Of the model file. */
  readonly etag?: string;
  readonly runId?: string;
  readonly loggedModelId?: string;
  /** The MLflow server that it came from. */
  readonly registryUri?: string;
  /** Version number in the registry it came from. */
  readonly registryVersion?: string;
  /** The stage that was asked for first, where the version came from another: it stands in for what is missing. */
  readonly insteadOf?: string;
}

/** A package somewhere else, found and not fetched yet. */
export interface RemotePackage {
  readonly facts: Omit<VersionSource, 'uri' | 'fetchedAt'>;
  /** Path of the ONNX file, where the URI names it. */
  readonly model?: string;
  /** Where not: the file of the package that may name it, and how to find it in there. */
  readonly modelIn?: { readonly file: string; readonly find: (text: string) => string | undefined };
  /** Name and version that the place has, for a package whose manifest has none. */
  readonly identity?: { readonly name: string; readonly version: string };
  /** Names directly in the folder, those of folders with a slash at their end; undefined where the place cannot tell. */
  list(signal: AbortSignal): Promise<readonly string[] | undefined>;
  /** Undefined where there is no such file. */
  open(file: string, resume: ResumeAt | undefined, signal: AbortSignal): Promise<RemoteBody | undefined>;
}
