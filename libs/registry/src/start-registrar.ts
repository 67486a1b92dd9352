import { readdir, realpath } from 'node:fs/promises';
import path from 'node:path';
import type { RecordChange } from '@sibyl/audit';
import type { Database } from '@sibyl/database';
import { DomainError, type Actor } from '@sibyl/kernel';
import type { ArtifactStore } from './artifact-store';
import { localPackage, localPath, type LocalPackage, type ModelImporter } from './model-importer';
import type { ModelRegistrar } from './model-registrar';
import { ignoreMissing } from './package-files';
import { isRemote } from './sources/remote-sources';
import { folderFingerprint } from './start-fingerprint';

/** What became of one start-up package. */
export interface StartResult {
  readonly uri: string;
  readonly outcome: 'created' | 'present' | 'failed';
  readonly model?: string;
  readonly version?: string;
  readonly error?: DomainError;
}

interface SourceRow {
  readonly model: string;
  readonly version: string;
}

/** In place of the fingerprint of a folder. */
const FETCHED = 'fetched';

const NATURAL = new Intl.Collator('en', { numeric: true });

/** Registers the packages that the operator names, if they are not there yet. */
export class StartRegistrar {
  constructor(
    private readonly registrar: ModelRegistrar,
    private readonly store: ArtifactStore,
    private readonly database: Database,
    private readonly importer: ModelImporter,
  ) {}

  /**
   * Registers each package in the order given; `folder/*` stands for the packages in it, in natural order of their names. A
   * package that cannot be registered does not keep the others from it. What has not changed since the last start is not read.
   */
  async registerAtStart(actor: Actor, uris: readonly string[], record: RecordChange): Promise<readonly StartResult[]> {
    const results: StartResult[] = [];
    for (const uri of await expanded(uris)) results.push(await this.one(actor, uri, record));
    return results;
  }

  private async one(actor: Actor, uri: string, record: RecordChange): Promise<StartResult> {
    try {
      if (isRemote(uri)) return await this.remote(actor, uri, record);
      const found = await find(uri);
      if (!found)
        throw new DomainError('invalid_parameter', 'There is no package at this place.', {
          faults: [{ pointer: '/uri' }],
        });
      const key = path.join(found.folder, found.model ?? '');
      const fingerprint = await folderFingerprint(found.folder);
      const present = fingerprint === undefined ? undefined : await this.present(key, fingerprint);
      if (present) return { uri, outcome: 'present', ...present };
      const expect = { aliasFirst: true, ...(found.model === undefined ? {} : { model: found.model }) };
      const { version, created } = await this.registrar.registerFolder(actor, found.folder, expect, record);
      if (fingerprint !== undefined) await this.remember(key, fingerprint, version);
      return { uri, outcome: created ? 'created' : 'present', model: version.model, version: version.version };
    } catch (error) {
      if (!(error instanceof DomainError) || error.code === 'database_unavailable') throw error;
      return { uri, outcome: 'failed', error };
    }
  }

  /** What lies elsewhere is fetched once: a version that has come from a URI is not asked for again. */
  private async remote(actor: Actor, uri: string, record: RecordChange): Promise<StartResult> {
    const present = await this.present(uri, FETCHED);
    if (present) return { uri, outcome: 'present', ...present };
    const request = { uri, pointer: '/uri', aliasFirst: true };
    const { version, created } = await this.importer.importRemote(actor, request, record);
    await this.remember(uri, FETCHED, version);
    return { uri, outcome: created ? 'created' : 'present', model: version.model, version: version.version };
  }

  private async present(key: string, fingerprint: string): Promise<SourceRow | undefined> {
    const [row] = await this.database.query<SourceRow & { readonly digest: string }>(
      `SELECT s.model, s.version, s.digest FROM registry.start_source s
       JOIN registry.model_version v ON v.model = s.model AND v.version = s.version AND v.digest = s.digest
       WHERE s.uri = $1 AND s.fingerprint = $2 AND v.status NOT IN ('registered', 'rejected')`,
      [key, fingerprint],
    );
    return row && (await this.store.has(row.digest)) ? { model: row.model, version: row.version } : undefined;
  }

  private async remember(
    key: string,
    fingerprint: string,
    { model, version, digest }: SourceRow & { digest: string },
  ): Promise<void> {
    await this.database.query(
      `INSERT INTO registry.start_source (uri, fingerprint, model, version, digest) VALUES ($1, $2, $3, $4, $5)
       ON CONFLICT (uri) DO UPDATE SET fingerprint = excluded.fingerprint, model = excluded.model,
         version = excluded.version, digest = excluded.digest`,
      [key, fingerprint, model, version, digest],
    );
  }
}

async function find(uri: string): Promise<LocalPackage | undefined> {
  const target = await realpath(localPath(uri, '/uri')).catch((error: unknown) => ignoreMissing(error));
  return target === undefined ? undefined : localPackage(target);
}

async function expanded(uris: readonly string[]): Promise<string[]> {
  const all: string[] = [];
  for (const uri of uris) {
    if (!uri.endsWith('/*')) {
      all.push(uri);
      continue;
    }
    const folder = localPath(uri.slice(0, -2), '/uri');
    const entries =
      (await readdir(folder, { withFileTypes: true }).catch((error: unknown) => ignoreMissing(error))) ?? [];
    const names = entries
      .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
      .map((entry) => entry.name);
    all.push(...names.sort((a, b) => NATURAL.compare(a, b)).map((name) => path.join(folder, name)));
  }
  return all;
}
