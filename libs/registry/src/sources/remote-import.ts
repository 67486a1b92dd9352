import { DomainError, orStorageFull, timestamp, type Clock } from '@sibyl/kernel';
import type { OnnxLimits } from '@sibyl/onnx';
import type { ArtifactStore } from '../artifact-store';
import type { ExpectedIdentity } from '../manifest-reader';
import { RegistrationQueue } from '../registration-queue';
import type { RegistryOptions } from '../registry-options';
import { PackageDownload } from './package-download';
import type { OnProgress } from '../progress';
import type { VersionSource } from './remote-package';
import type { OpenedSource, RemoteSources } from './remote-sources';
import type { SourceOptions } from './source-options';

export interface RemoteImportParts {
  readonly store: Pick<ArtifactStore, 'uploadFolder' | 'discard'>;
  readonly clock: Clock;
  readonly sources: RemoteSources;
  readonly options: RegistryOptions;
  readonly sourceOptions: SourceOptions;
  readonly onnxLimits: OnnxLimits;
}

/** What somebody wants from elsewhere. */
export interface RemoteRequest {
  readonly uri: string;
  readonly pointer: string;
  readonly expect: ExpectedIdentity;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: OnProgress | undefined;
}

/** A package that has been fetched into a folder of its own. */
export interface FetchedPackage {
  readonly folder: string;
  readonly expect: ExpectedIdentity;
  readonly source: VersionSource;
}

/** Fetches packages from elsewhere, a few at once, each in its time; whatever happens, nothing of it is left. */
export class RemoteImport {
  private readonly queue: RegistrationQueue;

  constructor(private readonly parts: RemoteImportParts) {
    const { sourceOptions, options } = parts;
    this.queue = new RegistrationQueue({ atOnce: sourceOptions.atOnce, waiting: options.registrationsWaiting });
  }

  /** Fetches what a URI names, or what `open` finds, and hands it to `use`; the files are gone when that has ended. */
  fetch<T>(
    request: RemoteRequest,
    use: (fetched: FetchedPackage) => Promise<T>,
    open = (signal: AbortSignal): Promise<OpenedSource> =>
      this.parts.sources.open(request.uri, request.pointer, signal),
  ): Promise<T> {
    return this.queue.turn(async () => {
      const late = AbortSignal.timeout(this.parts.sourceOptions.importMs);
      const signal = request.signal ? AbortSignal.any([request.signal, late]) : late;
      const folder = await this.parts.store.uploadFolder();
      try {
        const fetched = await orStorageFull(() => this.into(folder, request, open, signal)).catch((error: unknown) => {
          throw late.aborted && !request.signal?.aborted ? tooLong(this.parts.sourceOptions.importMs, error) : error;
        });
        return await use(fetched);
      } finally {
        await this.parts.store.discard(folder);
      }
    }, request.signal);
  }

  private async into(
    folder: string,
    request: RemoteRequest,
    open: (signal: AbortSignal) => Promise<OpenedSource>,
    signal: AbortSignal,
  ): Promise<FetchedPackage> {
    signal.throwIfAborted();
    const opened = await open(signal);
    const { remote } = opened;
    try {
      const { options, onnxLimits, sourceOptions, clock } = this.parts;
      const download = new PackageDownload({
        remote,
        folder,
        limits: options,
        onnxLimits,
        options: sourceOptions,
        signal,
        onProgress: request.onProgress,
      });
      const expect = await download.run(request.expect);
      const etag = download.validator;
      const source = {
        uri: withoutQuery(request.uri),
        ...remote.facts,
        fetchedAt: timestamp(clock.now()),
        ...(etag === undefined ? {} : { etag }),
      };
      return { folder, expect, source };
    } finally {
      opened.close();
    }
  }
}

/** What follows may be a signature, and a source is kept for ever. MLflow's and S3's URIs have no such part. */
function withoutQuery(uri: string): string {
  return /^https?:/i.test(uri) ? uri.replace(/[?#].*$/s, '') : uri;
}

function tooLong(limitMs: number, cause: unknown): DomainError {
  return new DomainError('deadline_exceeded', `The package was not fetched within ${limitMs / 1000} s.`, { cause });
}
