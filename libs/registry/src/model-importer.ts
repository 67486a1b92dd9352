import { realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { RecordChange } from '@sibyl/audit';
import { DomainError, timestamp, type Actor, type Clock } from '@sibyl/kernel';
import { MANIFEST_FILE, type ExpectedIdentity } from './manifest-reader';
import type { ModelRegistrar, Registered, Registration } from './model-registrar';
import { ignoreMissing } from './package-files';
import type { FetchedPackage, RemoteImport } from './sources/remote-import';
import { isRemote, type OpenedSource } from './sources/remote-sources';

export interface ImportRequest extends ExpectedIdentity {
  /**
   * A path or `file:` URI of a package folder, an MLflow model directory, a sibyl.json or an .onnx file; or one of `http(s):`,
   * `s3:`, `models:` and `runs:`.
   */
  readonly uri: string;
  /** Where the URI stands in the request, for errors. */
  readonly pointer?: string;
  /** Stops the import, of which nothing is left then, and is told how far it is. */
  readonly call?: Registration['call'];
  /** Gives `production` to the version if it is the first valid one of its model. */
  readonly aliasFirst?: boolean;
}

/** A folder on this machine, and the ONNX file that a URI named in it. */
export interface LocalPackage {
  readonly folder: string;
  readonly model?: string;
}

const URI_MAX = 2048;
const SCHEME = /^([A-Za-z][A-Za-z0-9+.-]+):/;

/** Registers packages that lie elsewhere. */
export class ModelImporter {
  constructor(
    private readonly registrar: ModelRegistrar,
    private readonly importFolders: readonly string[],
    private readonly remote: RemoteImport,
    private readonly clock: Clock,
  ) {}

  /** Registers what a URI names, if it lies where imports may read. */
  async importUri(actor: Actor, request: ImportRequest, record: RecordChange): Promise<Registered> {
    const { uri, pointer = '/source_uri' } = request;
    if (isRemote(uri)) return this.importRemote(actor, request, record);
    const found = await this.allowed(localPath(uri, pointer));
    if (!found) throw outside(pointer);
    const source = { uri, fetchedAt: timestamp(this.clock.now()) };
    const expect = {
      ...identityOf(request),
      ...(found.model ? { model: found.model } : {}),
      ...callOf(request),
      source,
    };
    return this.registrar.registerFolder(actor, found.folder, expect, record);
  }

  /** Fetches and registers; what was found already is not looked up again. */
  importRemote(
    actor: Actor,
    request: ImportRequest,
    record: RecordChange,
    open?: (signal: AbortSignal) => Promise<OpenedSource>,
  ): Promise<Registered> {
    const { uri, pointer = '/source_uri', call, aliasFirst = false } = request;
    if (uri.length > URI_MAX || uri.includes('\0')) throw unsupported(pointer, 'a URI that is too long');
    const use = ({ folder, expect, source }: FetchedPackage): Promise<Registered> =>
      this.registrar.registerFolder(actor, folder, { ...expect, ...callOf(request), aliasFirst, source }, record);
    const { signal, onProgress } = call ?? {};
    return this.remote.fetch({ uri, pointer, expect: identityOf(request), signal, onProgress }, use, open);
  }

  // Links are resolved before anything is compared; what lies inside is then opened without following any.
  private async allowed(asked: string): Promise<LocalPackage | undefined> {
    for (const folder of this.importFolders) {
      const root = await realpath(folder).catch((error: unknown) => ignoreMissing(error));
      if (root === undefined) continue;
      const target = await realpath(path.resolve(root, asked)).catch(() => undefined);
      if (target !== undefined && (target === root || target.startsWith(root + path.sep))) return localPackage(target);
    }
    return undefined;
  }
}

function callOf({ call }: ImportRequest): Pick<Registration, 'call'> {
  return call ? { call } : {};
}

function identityOf({ name, version }: ExpectedIdentity): ExpectedIdentity {
  return { ...(name === undefined ? {} : { name }), ...(version === undefined ? {} : { version }) };
}

/** The path that a `file:` URI or a plain path means; invalid_parameter for other schemes. */
export function localPath(uri: string, pointer: string): string {
  const scheme = SCHEME.exec(uri)?.[1]?.toLowerCase();
  if (uri.length === 0 || uri.length > URI_MAX || uri.includes('\0')) throw unsupported(pointer, 'a path');
  if (scheme === undefined) return uri;
  if (scheme !== 'file') throw unsupported(pointer, `${scheme}:`);
  try {
    return fileURLToPath(uri);
  } catch (error) {
    throw unsupported(pointer, 'a file: URI that names no local path', error);
  }
}

/** What a path names: a folder, or one file of it. */
export async function localPackage(target: string): Promise<LocalPackage | undefined> {
  const stats = await stat(target).catch((error: unknown) => ignoreMissing(error));
  if (stats?.isDirectory()) return { folder: target };
  if (!stats?.isFile()) return undefined;
  const name = path.basename(target);
  if (name === MANIFEST_FILE) return { folder: path.dirname(target) };
  return name.toLowerCase().endsWith('.onnx') ? { folder: path.dirname(target), model: name } : undefined;
}

function unsupported(pointer: string, received: string, cause?: unknown): DomainError {
  return new DomainError('invalid_parameter', 'The URI cannot be imported.', {
    cause,
    faults: [
      {
        pointer,
        expected: 'a path, or a URI of file:, http:, https:, s3:, models: or runs:',
        received: received.slice(0, 100),
      },
    ],
  });
}

// One answer for what does not exist and for what may not be read, so that nobody can ask what lies on this machine.
function outside(pointer: string): DomainError {
  return new DomainError('invalid_parameter', 'The URI names no package in the folders that imports may read.', {
    faults: [{ pointer, expected: 'a package folder, its sibyl.json or an .onnx file below SIBYL_IMPORT_FOLDERS' }],
  });
}
