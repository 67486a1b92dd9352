import type { RecordChange } from '@sibyl/audit';
import type { LoadedModel } from '@sibyl/inference';
import type { Actor, Clock } from '@sibyl/kernel';
import type { ModelReconciler, Promotion, ServedModel, ServedVersion } from '@sibyl/prediction';
import type { AliasEvent, AliasMove, AliasRollback } from '@sibyl/registry';
import type { ModelReading } from '@sibyl/telemetry';
import {
  Serving,
  type ReloadedModel,
  type ServedModelStatus,
  type ServedStatus,
  type ServingReadiness,
} from './serving';

/** What follows a move of an alias; a failure of it is not the move's. */
export interface AfterMove {
  moved(event: AliasEvent): void;
  promoted(model: string): Promise<void>;
}

/** Serving as this process does it: the reconciler's table and the runners behind it. */
export class LocalServing extends Serving {
  constructor(
    private readonly reconciler: ModelReconciler,
    private readonly promotion: Promotion,
    private readonly clock: Clock,
    private readonly loadLimitMs: number,
    private readonly after: AfterMove,
  ) {
    super();
  }

  async load(model: string, version: string): Promise<ServedStatus> {
    const served = await this.reconciler.find(model, version);
    await this.promotion.check(served);
    served.retryAt = 0;
    await this.reconciler.ready(served, this.clock.monotonic() + this.loadLimitMs);
    return statusOf(served);
  }

  async unload(model: string, version: string): Promise<ServedStatus> {
    const served = await this.reconciler.known(model, version);
    await this.reconciler.unload(served);
    return statusOf(served);
  }

  async promote(actor: Actor, move: AliasMove, record: RecordChange): Promise<AliasEvent> {
    const event = await this.promotion.promote(actor, move, record);
    this.after.moved(event);
    await this.after.promoted(move.model);
    return event;
  }

  async rollback(actor: Actor, rollback: AliasRollback, record: RecordChange): Promise<AliasEvent> {
    const event = await this.promotion.rollback(actor, rollback, record);
    this.after.moved(event);
    return event;
  }

  async reload(model: string | undefined): Promise<readonly ReloadedModel[]> {
    const reloaded = await this.reconciler.reload(model);
    const asked = this.models().filter(({ name }) => model === undefined || name === model);
    return asked.map((status) => {
      const own = reloaded.filter((one) => one.model === status.name);
      return { ...status, versions: own.map(({ model: _, ...rest }) => rest) };
    });
  }

  status(model: string, version: string): ServedStatus | undefined {
    const served = this.reconciler.table.models.get(model)?.versions.get(version);
    return served && statusOf(served);
  }

  statuses(): readonly ServedStatus[] {
    return [...this.reconciler.table.models.values()]
      .flatMap((model) => [...model.versions.values()])
      .filter((served) => served.state !== 'unloaded')
      .map(statusOf);
  }

  /** For metrics. */
  loadedModels(): ModelReading[] {
    return this.statuses()
      .filter(({ loaded }) => loaded)
      .map(({ model, version, memoryBytes = 0, queueDepth = 0, providerShares = {}, insteadOf }) => {
        return { model, version, memoryBytes, queueDepth, providerShares, standIn: insteadOf !== undefined };
      });
  }

  readiness(): ServingReadiness {
    const reasons = this.reconciler.missing();
    return { ready: reasons.length === 0, reasons };
  }

  models(): readonly ServedModelStatus[] {
    return [...this.reconciler.table.models.values()].map((model) => ({ name: model.name, ready: isReady(model) }));
  }
}

/** A model is ready when what a request without a version meets is loaded and takes requests. */
function isReady(model: ServedModel): boolean {
  const served = model.aliases.get('production') ?? model.latest;
  return served?.loaded !== undefined && served.loaded.statistics().unavailable === undefined;
}

function statusOf(served: ServedVersion): ServedStatus {
  const { loaded } = served;
  const facts = loaded && factsOf(loaded);
  // Loaded, and refused all the same: it has ended too many of its processes.
  const reason = facts?.unavailable ?? served.reason;
  const state = facts?.unavailable === undefined ? served.state : 'unavailable';
  return {
    ...facts,
    model: served.model,
    version: served.version,
    state,
    loaded: loaded !== undefined,
    ready: state === 'ready',
    reason,
    insteadOf: served.insteadOf,
    lastUsedAtMs: served.lastUsedAtMs,
  };
}

function factsOf(loaded: LoadedModel) {
  const { requests, failures, queueDepth, batchMs, batchCost, unavailable } = loaded.statistics();
  return {
    provider: loaded.execution.provider,
    providersAsked: loaded.execution.asked,
    providerShares: loaded.execution.shares,
    memoryBytes: loaded.totalBytes,
    loadMs: loaded.loadMs,
    latencyMs: batchMs,
    batchCost,
    requests,
    errors: failures,
    queueDepth,
    unavailable,
  };
}
