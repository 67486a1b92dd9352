import type { RecordChange } from '@sibyl/audit';
import { DomainError, type Actor } from '@sibyl/kernel';
import type { AliasEvent, AliasMove, AliasRollback, ModelAliases } from '@sibyl/registry';
import type { FeatureReader } from './feature-reader';
import type { ModelReconciler } from './model-reconciler';
import type { PredictionOptions } from './prediction-options';
import type { ServedVersion } from './served-version';

/** The other processes that serve on the same port. */
export interface Elsewhere {
  /** Rejects where one of them could not load the version. */
  warm(model: string, version: string): Promise<void>;
  /** Resolves when they serve what the registry says now. */
  follow(): Promise<void>;
}

/** Moves what callers get: the new version is warm everywhere before the alias moves, and all have switched before the answer. */
export class Promotion {
  constructor(
    private readonly aliases: Pick<ModelAliases, 'foresee' | 'move' | 'foreseeRollback' | 'rollback'>,
    private readonly reconciler: ModelReconciler,
    private readonly elsewhere: Elsewhere,
    private readonly options: PredictionOptions,
    private readonly features: Pick<FeatureReader, 'check'>,
  ) {}

  async promote(actor: Actor, move: AliasMove, record: RecordChange): Promise<AliasEvent> {
    // What will be refused loads nothing, and takes no memory from what serves.
    await this.aliases.foresee(actor, move);
    await this.warmEverywhere(move.model, move.version);
    const event = await this.aliases.move(actor, move, record);
    await this.switchEverywhere(event);
    return event;
  }

  /** As a rule without a load: the version before is held in memory for it. */
  async rollback(actor: Actor, rollback: AliasRollback, record: RecordChange): Promise<AliasEvent> {
    const target = await this.aliases.foreseeRollback(actor, rollback);
    // If the alias moves between this look and the rollback, If-Match no longer holds and nothing happens.
    await this.warmEverywhere(rollback.model, target);
    const event = await this.aliases.rollback(actor, rollback, record);
    await this.switchEverywhere(event);
    return event;
  }

  /**
   * Loads a version and holds it until an alias can be there; what may not serve is left to the move, which also knows the alias.
   * Rejects, and loads nothing, where it cannot be served for want of its features.
   */
  async warm(model: string, version: string): Promise<void> {
    const served = await this.found(model, version);
    if (served === undefined) return;
    await this.features.check(served);
    await this.reconciler.prewarm(served, this.options.prewarmLimitMs);
  }

  /** Rejects where a version cannot serve for want of its features. */
  check(served: ServedVersion): Promise<void> {
    return this.features.check(served);
  }

  private async found(model: string, version: string): Promise<ServedVersion | undefined> {
    try {
      return await this.reconciler.find(model, version);
    } catch (error) {
      if (error instanceof DomainError && error.kind !== 'unavailable') return undefined;
      throw error;
    }
  }

  private async warmEverywhere(model: string, version: string): Promise<void> {
    await Promise.all([this.warm(model, version), this.elsewhere.warm(model, version)]);
  }

  private async switchEverywhere({ model, alias, revision }: AliasEvent): Promise<void> {
    const seen = (): boolean => (this.reconciler.table.models.get(model)?.revisions.get(alias) ?? 0) >= revision;
    await Promise.all([this.reconciler.follow(seen), this.elsewhere.follow()]);
  }
}
