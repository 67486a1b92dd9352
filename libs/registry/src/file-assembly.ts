import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import type { Database } from '@sibyl/database';
import { DomainError, orStorageFull, type FieldFault } from '@sibyl/kernel';
import type { ArtifactStore } from './artifact-store';
import type { PackageDigest } from './package-digest';
import { copyHashed, openPlain } from './package-files';
import { packagePath, parentsOf } from './package-path';
import type { RegistryOptions } from './registry-options';
import { sha256Of, type UploadedFiles, type UploadState } from './uploaded-files';

/** Whether the caller may take the bytes of this model. */
export type MayTake = (model: string) => boolean;

interface Place {
  readonly folder: string;
  readonly file: string;
}

interface StoredFile {
  readonly sha256: string;
  readonly model: string;
  readonly digest: PackageDigest;
  readonly path: string;
  readonly bytes: number;
}

/** Only the lists of versions that have one of the files are read. What is known to be damaged has to be sent again. */
const STORED_FILES = `
SELECT DISTINCT ON (v.model, f.sha256) f.sha256, v.model, v.digest, f.path, f.bytes FROM registry.model_version v,
  json_to_recordset(v.files) AS f(path text, sha256 text, bytes double precision)
WHERE registry.file_digests(v.files) && $1::text[] AND f.sha256 = ANY ($1) AND v.deletion IS NULL AND v.status NOT IN ('registered')
  AND NOT EXISTS (SELECT FROM registry.artifact_check c WHERE c.digest = v.digest AND NOT c.intact)`;

/**
 * Packages out of files that are here already, named by their digests. Whoever knows a digest does not have the bytes: they are
 * found among what was sent for this model, and in versions of models whose bytes the caller may take anyway. Elsewhere they
 * are as unknown as bytes that do not exist.
 */
export class FileAssembly {
  constructor(
    private readonly database: Database,
    private readonly store: ArtifactStore,
    private readonly uploads: UploadedFiles,
    private readonly limits: Pick<RegistryOptions, 'files' | 'artifactBytes'>,
  ) {}

  /** What need not be sent of a file. */
  async state(model: string, digest: string, may: MayTake): Promise<UploadState> {
    const sha256 = sha256Of(digest, '/sha256');
    const sent = await this.uploads.state(model, sha256);
    if (sent.complete) return sent;
    const [stored] = await this.stored([sha256], may);
    return stored === undefined ? sent : { offset: stored.bytes, complete: true };
  }

  /** A folder with these files, to be registered like an upload; give it back with `discard`. */
  async assemble(model: string, files: Readonly<Record<string, unknown>>, may: MayTake): Promise<string> {
    const wanted = this.wanted(files);
    const places = await this.places(model, new Set(wanted.values()), may);
    const missing = [...wanted].filter(([, sha256]) => !places.has(sha256));
    if (missing.length > 0) throw notThere(missing);
    const folder = await this.store.uploadFolder();
    try {
      await orStorageFull(async () => {
        let left = this.limits.artifactBytes;
        for (const [name, sha256] of wanted)
          left -= await this.copy(places.get(sha256), path.join(folder, name), sha256, left);
      });
      return folder;
    } catch (error) {
      await this.store.discard(folder);
      throw error;
    }
  }

  private wanted(files: Readonly<Record<string, unknown>>): Map<string, string> {
    const names = Object.keys(files);
    if (names.length === 0 || names.length > this.limits.files)
      throw new DomainError('invalid_parameter', `A package has 1 to ${this.limits.files} files.`);
    const folders = new Set(names.flatMap((name) => parentsOf(name)));
    const both = names.find((name) => folders.has(name));
    if (both !== undefined)
      throw new DomainError('invalid_parameter', 'A name is that of a file and of a folder.', {
        faults: [{ pointer: '/files', expected: 'files with a place of their own', received: both.slice(0, 200) }],
      });
    return new Map(
      names.map((name) => {
        const digest = files[name];
        return [packagePath(name, '/files'), sha256Of(typeof digest === 'string' ? digest : '', `/files/${name}`)];
      }),
    );
  }

  private async places(model: string, digests: ReadonlySet<string>, may: MayTake): Promise<Map<string, Place>> {
    const places = new Map<string, Place>();
    for (const sha256 of digests) {
      const sent = await this.uploads.find(model, sha256);
      if (sent !== undefined) places.set(sha256, sent);
    }
    const others = [...digests].filter((sha256) => !places.has(sha256));
    let damage: DomainError | undefined;
    for (const { sha256, digest, path: file } of await this.stored(others, may)) {
      if (places.has(sha256)) continue;
      try {
        places.set(sha256, { folder: await this.store.artifactFolder(digest), file });
      } catch (error) {
        // Another version may have the same file whole.
        if (!(error instanceof DomainError) || error.code !== 'model_not_ready') throw error;
        damage = error;
      }
    }
    if (damage && others.some((sha256) => !places.has(sha256))) throw damage;
    return places;
  }

  private async stored(digests: readonly string[], may: MayTake): Promise<readonly StoredFile[]> {
    if (digests.length === 0) return [];
    const rows = await this.database.query<StoredFile>(STORED_FILES, [digests]);
    return rows.filter((row) => may(row.model));
  }

  private async copy(from: Place | undefined, target: string, sha256: string, left: number): Promise<number> {
    const source = from && (await openPlain(from.folder, from.file));
    if (!source) throw notThere([[path.basename(target), sha256]]);
    try {
      await mkdir(path.dirname(target), { recursive: true, mode: 0o700 });
      const copied = await copyHashed(source, target, path.basename(target), left);
      if (copied.sha256 === sha256) return copied.bytes;
    } finally {
      await source.close();
    }
    throw new DomainError('model_not_ready', 'A stored file is damaged; send it again.', {
      cause: new Error(`the bytes of ${sha256} are others`),
    });
  }
}

function notThere(missing: readonly (readonly [string, string])[]): DomainError {
  const faults: FieldFault[] = missing.slice(0, 100).map(([name, sha256]) => ({
    pointer: `/files/${name}`,
    expected: 'the digest of a file that was sent for this model, or of one that the key may read',
    received: `sha256:${sha256}`,
  }));
  return new DomainError('invalid_parameter', `${missing.length} files of the package are not here.`, { faults });
}
