import type { RecordChange } from '@sibyl/audit';
import type { Actor } from '@sibyl/kernel';
import type { AliasEvent, AliasMove, AliasRollback } from '@sibyl/registry';

/** How this process serves one version. */
export interface ServedStatus {
  readonly model: string;
  readonly version: string;
  readonly state: 'unloaded' | 'loading' | 'ready' | 'unloading' | 'unavailable';
  readonly loaded: boolean;
  readonly ready: boolean;
  /** Why it is unavailable, in words for callers. */
  readonly reason?: string | undefined;
  /** The execution provider that is really in use. */
  readonly provider?: string | undefined;
  /** Those that its session was offered, in their order. */
  readonly providersAsked?: readonly string[] | undefined;
  /** Part of the graph that each computed in a run. */
  readonly providerShares?: Readonly<Record<string, number>> | undefined;
  readonly memoryBytes?: number | undefined;
  readonly loadMs?: number | undefined;
  /** What one batch takes at present, smoothed. */
  readonly latencyMs?: number | undefined;
  /** What a batch is expected to take, in ms: `fixed + perRow · rows`. */
  readonly batchCost?: { readonly fixedMs: number; readonly perRowMs: number } | undefined;
  readonly requests?: number | undefined;
  readonly errors?: number | undefined;
  readonly queueDepth?: number | undefined;
  readonly lastUsedAtMs?: number | undefined;
  /** The stage for which it stands in. */
  readonly insteadOf?: string | undefined;
}

/** Whether what should serve does serve, and else why not. */
export interface ServingReadiness {
  readonly ready: boolean;
  readonly reasons: readonly string[];
}

/** What the ordinary routes ask of serving; the predict path has its own way in. */
export abstract class Serving {
  /** Loads a version and waits until it is warm. */
  abstract load(model: string, version: string): Promise<ServedStatus>;
  /** Takes a version out of memory; the next request that needs it loads it again. */
  abstract unload(model: string, version: string): Promise<ServedStatus>;
  /** Warms the version, then moves the alias and switches at once. */
  abstract promote(actor: Actor, move: AliasMove, record: RecordChange): Promise<AliasEvent>;
  abstract rollback(actor: Actor, rollback: AliasRollback, record: RecordChange): Promise<AliasEvent>;
  /** Reads the registry anew and loads again what one model, or all, should serve. */
  abstract reload(model: string | undefined): Promise<readonly ServedModelStatus[]>;
  abstract status(model: string, version: string): ServedStatus | undefined;
  /** Every version that is loaded or on its way in or out. */
  abstract statuses(): readonly ServedStatus[];
  abstract readiness(): ServingReadiness;
  /** Every model that is served, by name only: public. */
  abstract models(): readonly ServedModelStatus[];
}

export interface ServedModelStatus {
  readonly name: string;
  readonly ready: boolean;
}
