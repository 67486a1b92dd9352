import type { EntityManager } from 'typeorm';
import type { Database } from '@sibyl/database';
import { DomainError, timestamp, type Clock } from '@sibyl/kernel';
import type { ArtifactStore } from './artifact-store';
import type { PackageDigest } from './package-digest';

/** Digests of one look; what is left over is found by the next one. */
const DIGESTS_AT_ONCE = 1000;

/**
 * Bytes that a version has given up. That they may go is committed with the change that released them, and they go when no other
 * version needs them: at once, or after a crash with the next start.
 */
export class ReleasedArtifacts {
  constructor(
    private readonly database: Database,
    /** The packages, and what lies elsewhere of them. */
    private readonly stores: readonly Pick<ArtifactStore, 'remove'>[],
    private readonly clock: Clock,
  ) {}

  /** Gives the bytes of one version up, in the transaction that says why. */
  async release(tx: EntityManager, digest: PackageDigest): Promise<void> {
    await tx.query('INSERT INTO registry.released_artifact (digest, at) VALUES ($1, $2) ON CONFLICT DO NOTHING', [
      digest,
      timestamp(this.clock.now()),
    ]);
  }

  /** Removes what was released and is needed by nobody; answers the digests whose bytes went. */
  async collect(): Promise<readonly string[]> {
    const rows = await this.database.query<{ digest: PackageDigest }>(
      `SELECT digest FROM registry.released_artifact ORDER BY at LIMIT ${DIGESTS_AT_ONCE}`,
    );
    const gone: string[] = [];
    try {
      for (const { digest } of rows)
        if (await this.database.transaction((tx) => this.remove(tx, digest))) gone.push(digest);
    } catch (error) {
      // What released them is committed; they go with the next look, when the bucket answers again.
      if (!(error instanceof DomainError && error.code === 'source_unavailable')) throw error;
    }
    return gone;
  }

  private async remove(tx: EntityManager, digest: PackageDigest): Promise<boolean> {
    await lockArtifact(tx, digest);
    const needed = await tx.query<unknown[]>(
      'SELECT 1 FROM registry.model_version WHERE digest = $1 AND deletion IS NULL LIMIT 1',
      [digest],
    );
    // Before the row: where the server is killed in between, the next look finds nothing to remove.
    if (needed.length === 0) for (const store of this.stores) await store.remove(digest);
    await tx.query('DELETE FROM registry.released_artifact WHERE digest = $1', [digest]);
    if (needed.length === 0) await tx.query('DELETE FROM registry.artifact_check WHERE digest = $1', [digest]);
    return needed.length === 0;
  }
}

/** Keeps the bytes of a digest from going while the transaction that needs them is not committed, and the other way round. */
export async function lockArtifact(tx: EntityManager, digest: string): Promise<void> {
  await tx.query("SELECT pg_advisory_xact_lock(hashtextextended('registry.artifact ' || $1, 0))", [digest]);
}
