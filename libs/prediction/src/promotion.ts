import type { RecordChange } from '@sibyl/audit';
import { DomainError, type Actor, type Clock } from '@sibyl/kernel';
import type { AliasEvent, AliasMove, AliasRollback, ModelAliases } from '@sibyl/registry';
import type { ModelReconciler } from './model-reconciler';
import type { PredictionOptions } from './prediction-options';

/** Moves what callers get: the new version is warm before the alias moves, and the table is switched before the answer. */
export class Promotion {
  constructor(
    private readonly aliases: Pick<ModelAliases, 'move' | 'rollback' | 'rollbackTarget'>,
    private readonly reconciler: ModelReconciler,
    private readonly clock: Clock,
    private readonly options: PredictionOptions,
  ) {}

  async promote(actor: Actor, move: AliasMove, record: RecordChange): Promise<AliasEvent> {
    await this.prewarm(move.model, move.version);
    const event = await this.aliases.move(actor, move, record);
    await this.reconciler.follow();
    return event;
  }

  /** As a rule without a load: the version before is still warm, unless this process has started since. */
  async rollback(actor: Actor, rollback: AliasRollback, record: RecordChange): Promise<AliasEvent> {
    const target = await this.aliases.rollbackTarget(rollback.model, rollback.alias);
    // If the alias moves between this look and the rollback, If-Match no longer holds and nothing happens.
    if (target !== undefined) await this.prewarm(rollback.model, target);
    const event = await this.aliases.rollback(actor, rollback, record);
    await this.reconciler.follow();
    return event;
  }

  private async prewarm(model: string, version: string): Promise<void> {
    let served;
    try {
      served = await this.reconciler.find(model, version);
    } catch (error) {
      // A version that is unknown or may not serve is refused by the move, which also knows the alias.
      if (error instanceof DomainError && error.kind !== 'unavailable') return;
      throw error;
    }
    await this.reconciler.ready(served, this.clock.monotonic() + this.options.prewarmLimitMs);
  }
}
