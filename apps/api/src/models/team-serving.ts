import type { RecordChange } from '@sibyl/audit';
import type { Actor } from '@sibyl/kernel';
import type { AliasEvent, AliasMove, AliasRollback } from '@sibyl/registry';
import { refuseAnyError, type Siblings } from '../workers/siblings';
import { worstOf } from './model-reload';
import {
  Serving,
  type ReloadedModel,
  type ServedModelStatus,
  type ServedStatus,
  type ServingReadiness,
} from './serving';

/** A version by its name. */
interface Named {
  readonly model: string;
  readonly version: string;
}

/**
 * Serving of a server of several workers: what is asked of one is asked of all, and each tells of itself. What this one has done
 * stands where another one refuses: asked again, each does what it lacks.
 */
export class TeamServing extends Serving {
  constructor(
    private readonly own: Serving,
    private readonly siblings: Siblings,
    /** How long loading may take. */
    private readonly limitMs: number,
  ) {
    super();
    siblings.onAsked('load', ({ model, version }: Named) => own.load(model, version));
    siblings.onAsked('unload', ({ model, version }: Named) => own.unload(model, version));
    siblings.onAsked('reload', ({ model }: { model?: string }) => own.reload(model));
  }

  async load(model: string, version: string): Promise<ServedStatus> {
    const status = await this.own.load(model, version);
    refuseAnyError(await this.siblings.ask('load', { model, version }, this.limitMs));
    return status;
  }

  async unload(model: string, version: string): Promise<ServedStatus> {
    const status = await this.own.unload(model, version);
    refuseAnyError(await this.siblings.ask('unload', { model, version }, this.limitMs));
    return status;
  }

  promote(actor: Actor, move: AliasMove, record: RecordChange): Promise<AliasEvent> {
    return this.own.promote(actor, move, record);
  }

  rollback(actor: Actor, rollback: AliasRollback, record: RecordChange): Promise<AliasEvent> {
    return this.own.rollback(actor, rollback, record);
  }

  async reload(model: string | undefined): Promise<readonly ReloadedModel[]> {
    const own = await this.own.reload(model);
    const answers = await this.siblings.ask('reload', { model }, this.limitMs);
    refuseAnyError(answers);
    return worstOf([own, ...answers.map(({ value }) => value as readonly ReloadedModel[])]);
  }

  status(model: string, version: string): ServedStatus | undefined {
    return this.own.status(model, version);
  }

  statuses(): readonly ServedStatus[] {
    return this.own.statuses();
  }

  readiness(): ServingReadiness {
    return this.own.readiness();
  }

  models(): readonly ServedModelStatus[] {
    return this.own.models();
  }
}
