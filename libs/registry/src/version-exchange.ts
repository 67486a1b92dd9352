import { createHash } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import type { EntityManager } from 'typeorm';
import type { RecordChange } from '@sibyl/audit';
import type { Database } from '@sibyl/database';
import { DomainError, timestamp, type Actor, type Clock } from '@sibyl/kernel';
import type { ArtifactStore } from './artifact-store';
import type { ExpectedIdentity } from './manifest-reader';
import type { ModelVersion } from './model-version';
import { versionNotFound } from './names';
import { definedOnly } from './optional';
import { openPlain } from './package-files';
import { concludeChange, requireModel, versionResource } from './registry-change';
import type { RegistryOptions } from './registry-options';
import { encodeHeader, VERSION_FILE_ENDING, type EncodedHeader, type VersionRecord } from './version-file';
import { unpackVersionFile } from './version-file-reader';

import { recordOf, type ProofReader } from './version-record';
import { versionOf, versionRow } from './version-rows';

const CHUNK_BYTES = 1024 * 1024;

/** A version on its way out: its event is written, its bytes are checked while they flow. */
export interface VersionExport {
  readonly name: string;
  readonly bytes: number;
  /** SHA-256 of the header, as the event names it. */
  readonly recordSha256: string;
  /** Ends with an error, short of its length, where a stored file is not what it was. */
  chunks(): AsyncGenerator<Buffer>;
}

/** Where a package came from, if it came as a version of another installation. */
export interface VersionOrigin {
  readonly record: VersionRecord;
  readonly sha256: string;
  readonly digest: string;
  /** The header as it is kept. */
  readonly header: unknown;
}

/** What is expected of a folder, and which file of it is meant. */
interface Brought extends ExpectedIdentity {
  readonly model?: string;
}

export interface OpenedPackage {
  readonly identity: ExpectedIdentity;
  readonly folder: string;
  readonly origin?: VersionOrigin;
  /** Gives back what was unpacked. */
  readonly close: () => Promise<void>;
}

/** Moves versions between installations: each as one file with its whole record. */
export class VersionExchange {
  constructor(
    private readonly database: Database,
    private readonly store: ArtifactStore,
    private readonly clock: Clock,
    private readonly options: RegistryOptions,
    private readonly proof: ProofReader | undefined,
  ) {}

  /** Records the export and answers what leaves. The event names the hash of the record that the file holds. */
  async export(
    actor: Actor,
    { model, version }: Pick<ModelVersion, 'model' | 'version'>,
    record: RecordChange,
  ): Promise<VersionExport> {
    const found = await this.database.transaction((tx) => exactVersion(tx, model, version));
    if (found.deletion !== undefined)
      throw new DomainError(
        'version_not_servable',
        `The bytes of version ${found.version} of '${model}' were deleted.`,
      );
    const folder = await this.store.artifactFolder(found.digest);
    const audit = (await this.proof?.(model, found.version)) ?? { events: [], events_count: 0, heads: [] };
    const header = await this.database.transaction(async (tx) => {
      await requireModel(tx, model);
      const facts = await recordOf(tx, found, { actor, atMs: this.clock.now(), audit });
      const files = [...found.files].sort((a, b) => (a.path < b.path ? -1 : 1));
      const plain = files.map(({ path, bytes, sha256 }) => ({ path, bytes, sha256 }));
      const encoded = encodeHeader({ digest: found.digest, files: plain, record: facts });
      await concludeChange(tx, model, record, {
        action: 'model.export',
        resource: versionResource(model, found.version),
        model: { name: model, version: found.version, digest: found.digest },
        changes: { record_sha256: encoded.sha256 },
      });
      return encoded;
    });
    const files = [...found.files].sort((a, b) => (a.path < b.path ? -1 : 1));
    return {
      name: `${model}-${found.version}${VERSION_FILE_ENDING}`,
      bytes: files.reduce((sum, file) => sum + file.bytes, header.prelude.length + header.text.length),
      recordSha256: header.sha256,
      chunks: () => chunksOf(header, folder, files),
    };
  }

  /**
   * What lies in a folder that somebody brings: a package, or one version file, which is unpacked beside it. What its record says
   * of name and version must be what the caller expects.
   */
  async open(folder: string, { name, version, model }: Brought): Promise<OpenedPackage> {
    const expect = definedOnly({ name, version });
    const file = model === undefined ? await versionFileIn(folder) : isVersionFile(model) ? model : undefined;
    if (file === undefined) return { identity: expect, folder, close: () => Promise.resolve() };
    const target = await this.store.uploadFolder();
    try {
      const { record, sha256, digest, files } = await unpackVersionFile(folder, file, target, this.options);
      requireIdentity(record, expect);
      const origin = { record, sha256, digest, header: { digest, files, record } };
      const close = (): Promise<void> => this.store.discard(target);
      return { identity: { name: record.model, version: record.version }, folder: target, origin, close };
    } catch (error) {
      await this.store.discard(target);
      throw error;
    }
  }

  /** Keeps what the origin knew of a version, in the transaction that registers it. */
  async keep(
    tx: EntityManager,
    actor: Actor,
    { model, version, digest }: ModelVersion,
    from: VersionOrigin,
  ): Promise<void> {
    await tx.query(
      `INSERT INTO registry.version_origin (model, version, digest, record_sha256, header, at, actor)
       VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING`,
      [
        ...[model, version, digest, from.sha256, JSON.stringify(from.header)],
        ...[timestamp(this.clock.now()), JSON.stringify(actor)],
      ],
    );
  }
}

async function exactVersion(tx: EntityManager, model: string, version: string): Promise<ModelVersion> {
  await requireModel(tx, model);
  const row = await versionRow(tx, model, version);
  if (!row) throw versionNotFound(model, version);
  return versionOf(row);
}

/** The only file of a folder, if it is a version file. */
async function versionFileIn(folder: string): Promise<string | undefined> {
  const names = await readdir(folder).catch(() => []);
  const [name] = names;
  return names.length === 1 && name !== undefined && isVersionFile(name) ? name : undefined;
}

function isVersionFile(name: string): boolean {
  return name.toLowerCase().endsWith(VERSION_FILE_ENDING);
}

function requireIdentity(record: VersionRecord, expect: ExpectedIdentity): void {
  const faults = [
    { pointer: '/name', expected: expect.name, received: record.model },
    { pointer: '/version', expected: expect.version, received: record.version },
  ].filter(({ expected, received }) => expected !== undefined && expected !== received);
  if (faults.length === 0) return;
  throw new DomainError('manifest_mismatch', 'The file holds another model or version.', {
    faults: faults.map((fault) => ({
      ...fault,
      expected: fault.expected ?? '',
      received: fault.received.slice(0, 128),
    })),
  });
}

async function* chunksOf(
  { prelude, text }: EncodedHeader,
  folder: string,
  files: ModelVersion['files'],
): AsyncGenerator<Buffer> {
  yield prelude;
  yield text;
  for (const file of files) {
    const source = await openPlain(folder, file.path);
    if (!source) throw new Error(`${file.path} has gone`);
    const hash = createHash('sha256');
    try {
      for (let at = 0; at < file.bytes;) {
        // A chunk of its own: the one before is still on its way out.
        const chunk = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, file.bytes - at));
        const { bytesRead } = await source.read(chunk, 0, chunk.length, at);
        if (bytesRead === 0) throw new Error(`${file.path} is shorter than it was`);
        at += bytesRead;
        hash.update(chunk.subarray(0, bytesRead));
        // Nothing of the last chunk leaves where the whole is not what it was.
        if (at === file.bytes && hash.digest('hex') !== file.sha256) throw new Error(`${file.path} was changed`);
        yield chunk.subarray(0, bytesRead);
      }
    } finally {
      await source.close();
    }
  }
}
