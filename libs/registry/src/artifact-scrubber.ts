import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RecordChange } from '@sibyl/audit';
import type { Database } from '@sibyl/database';
import { timestamp, type Clock } from '@sibyl/kernel';
import type { ArtifactStore } from './artifact-store';
import { packageDigest, type PackageDigest, type PackageFile } from './package-digest';
import { openPlain } from './package-files';
import { announce, versionResource } from './registry-change';
import type { RegistryOptions } from './registry-options';

const CHUNK_BYTES = 256 * 1024;
/** Between two looks for something to read where nothing is due. */
const IDLE_MS = 60_000;
const DAMAGED_FILES_NAMED = 20;

/** What a look at the bytes of a version found. */
export interface ArtifactFinding {
  readonly model: string;
  readonly version: string;
  readonly digest: PackageDigest;
  readonly intact: boolean;
  /** Files that are gone or other than they were. */
  readonly damaged: readonly string[];
}

export interface ScrubberParts {
  readonly database: Database;
  readonly store: Pick<ArtifactStore, 'folderOf' | 'reconcile'>;
  readonly clock: Clock;
  readonly options: Pick<RegistryOptions, 'scrubBytesPerSecond' | 'scrubEveryMs'>;
  readonly log: { error(fields: object, message: string): void; info(fields: object, message: string): void };
  /** How a change of what is stored is recorded. */
  readonly record: RecordChange;
}

interface Due {
  readonly model: string;
  readonly version: string;
  readonly digest: PackageDigest;
  readonly files: readonly PackageFile[];
}

const DUE = `SELECT DISTINCT ON (v.digest) v.model, v.version, v.digest, v.files, c.checked_at
  FROM registry.model_version v LEFT JOIN registry.artifact_check c ON c.digest = v.digest
  WHERE v.deletion IS NULL AND v.status <> 'registered'`;

/**
 * Reads what is stored again and again, slowly, so that a disk that forgets is found out before a restart needs the bytes. What is
 * damaged is refused by whoever loads it, whatever is written here.
 */
export class ArtifactScrubber {
  private readonly stopping = new AbortController();
  private running: Promise<void> | undefined;
  /** Packages that were damaged when they were last read, by this process or another. */
  damaged = 0;

  constructor(private readonly parts: ScrubberParts) {}

  /** Begins to read in the background, if a rate is set. */
  start(): void {
    if (this.parts.options.scrubBytesPerSecond > 0) this.running ??= this.run();
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    await this.running;
  }

  /** Reads the bytes of one model, or of all, at once and as fast as the disk gives them. */
  async checkNow(model: string | undefined, signal: AbortSignal): Promise<readonly ArtifactFinding[]> {
    const rows = await this.parts.database.query<Due>(`${DUE} AND ($1::text IS NULL OR v.model = $1)`, [model ?? null]);
    const findings: ArtifactFinding[] = [];
    for (const row of rows) {
      signal.throwIfAborted();
      findings.push(await this.check(row, Infinity, signal));
    }
    return findings;
  }

  private async run(): Promise<void> {
    const { signal } = this.stopping;
    while (!signal.aborted) {
      try {
        const due = await this.next();
        if (due !== undefined) await this.check(due, this.parts.options.scrubBytesPerSecond, signal);
        else await sleep(IDLE_MS, undefined, { signal, ref: false });
      } catch (error) {
        if (signal.aborted) return;
        this.parts.log.error({ err: error }, 'stored packages could not be read again; later');
        await sleep(IDLE_MS, undefined, { signal, ref: false }).catch(() => undefined);
      }
    }
  }

  private async next(): Promise<Due | undefined> {
    const { clock, options, database } = this.parts;
    const before = timestamp(clock.now() - options.scrubEveryMs);
    const [due] = await database.query<Due>(
      `SELECT * FROM (${DUE}) d WHERE checked_at IS NULL OR checked_at < $1 ORDER BY checked_at NULLS FIRST LIMIT 1`,
      [before],
    );
    return due;
  }

  private async check(due: Due, bytesPerSecond: number, signal: AbortSignal): Promise<ArtifactFinding> {
    const { model, version, digest, files } = due;
    const folder = this.parts.store.folderOf(digest);
    const damaged: string[] = [];
    for (const file of files) if (!(await isIntact(folder, file, bytesPerSecond, signal))) damaged.push(file.path);
    const found = damaged.length === 0 && packageDigest(files) === digest;
    const intact = await this.reconcile(due, found, signal);
    if (intact && !found) damaged.length = 0;
    await this.note({ model, version, digest, intact, damaged });
    return { model, version, digest, intact, damaged };
  }

  private async reconcile(due: Due, intact: boolean, signal: AbortSignal): Promise<boolean> {
    const { model, version, digest, files } = due;
    const { store, log } = this.parts;
    try {
      // What others wait for too goes on when this one has to stop.
      const now = await unlessAborted(signal, store.reconcile({ digest, files }, intact));
      if (now && !intact) log.info({ model, version, digest }, 'damaged or missing files of a version were fetched');
      return now;
    } catch (error) {
      signal.throwIfAborted();
      log.error({ model, version, digest, err: error }, 'a version and its copy in the bucket could not be compared');
      return intact;
    }
  }

  private async note({ model, version, digest, intact, damaged }: ArtifactFinding): Promise<void> {
    const { database, clock, record, log } = this.parts;
    await database.transaction(async (tx) => {
      // Deleted while it was read: nothing of it is missing.
      const needed = 'SELECT 1 FROM registry.model_version WHERE digest = $1 AND deletion IS NULL LIMIT 1 FOR SHARE';
      if ((await tx.query<unknown[]>(needed, [digest])).length === 0) return;
      const [before] = await tx.query<{ intact: boolean }[]>(
        'SELECT intact FROM registry.artifact_check WHERE digest = $1 FOR UPDATE',
        [digest],
      );
      await tx.query(
        `INSERT INTO registry.artifact_check (digest, intact, checked_at) VALUES ($1, $2, $3)
         ON CONFLICT (digest) DO UPDATE SET intact = excluded.intact, checked_at = excluded.checked_at`,
        [digest, intact, timestamp(clock.now())],
      );
      // One event for each change, not one a look.
      if ((before?.intact ?? true) === intact) return;
      await announce(tx, model);
      await record(tx, {
        action: 'model.check',
        ...(intact ? {} : { status: 500 }),
        resource: versionResource(model, version),
        model: { name: model, version, digest },
        changes: { intact: { from: !intact, to: intact }, damaged: damaged.slice(0, DAMAGED_FILES_NAMED) },
      });
    });
    const [row] = await database.query<{ count: string }>(
      'SELECT count(*) AS count FROM registry.artifact_check WHERE NOT intact',
    );
    this.damaged = Number(row?.count ?? 0);
    if (!intact)
      log.error({ model, version, digest, damaged: damaged.length }, 'stored files of a version are damaged');
  }
}

async function unlessAborted<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  const done = new AbortController();
  const aborted = new Promise<never>((_, reject) => {
    if (signal.aborted) reject(signal.reason as Error);
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true, signal: done.signal });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    done.abort();
  }
}

async function isIntact(
  folder: string,
  file: PackageFile,
  bytesPerSecond: number,
  signal: AbortSignal,
): Promise<boolean> {
  const handle = await openPlain(folder, file.path).catch(() => undefined);
  if (handle === undefined) return false;
  const hash = createHash('sha256');
  const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
  try {
    for (let at = 0; ;) {
      const { bytesRead } = await handle.read(chunk, 0, CHUNK_BYTES, at);
      if (bytesRead === 0) return at === file.bytes && hash.digest('hex') === file.sha256;
      at += bytesRead;
      hash.update(chunk.subarray(0, bytesRead));
      if (Number.isFinite(bytesPerSecond))
        await sleep((bytesRead / bytesPerSecond) * 1000, undefined, { signal, ref: false });
      else signal.throwIfAborted();
    }
  } catch (error) {
    if (signal.aborted) throw error;
    // A disk that cannot read has lost the file.
    return false;
  } finally {
    await handle.close();
  }
}
