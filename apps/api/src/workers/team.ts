import type { AuditTrail } from '@sibyl/audit';
import { LimitExchange, type Gate, type KeySnapshot, type Taking } from '@sibyl/auth';
import type { Elsewhere, ModelReconciler, Promotion } from '@sibyl/prediction';
import type { Metrics } from '@sibyl/telemetry';
import { refuseAnyError, type Siblings } from './siblings';

/** Reading one's own writes goes on without a sibling that does not answer in this time. */
const FLUSH_MS = 1_000;
/** As short as the wait for a notification that got lost; keys and aliases follow by themselves then. */
const FOLLOW_MS = 500;

/** What a worker holds that the others hold too. */
export interface TeamParts {
  readonly siblings: Siblings;
  readonly trail: AuditTrail;
  readonly gate: Gate;
  readonly keySnapshot: KeySnapshot;
  readonly reconciler: ModelReconciler;
  readonly promotion: Promotion;
  readonly metrics: Metrics;
}

/** Makes limits those of all workers, and answers what the others ask. Of a server of one process it does nothing. */
export function joinTeam(parts: TeamParts): void {
  const { siblings, trail, gate, keySnapshot, reconciler, promotion, metrics } = parts;
  if (siblings.count === 1) return;
  gate.shareLimits(new LimitExchange(siblings.count, (takings: readonly Taking[]) => siblings.tell('limits', takings)));
  siblings.onTold('limits', (takings: readonly Taking[]) => gate.hear(takings));
  siblings.onTold('adopt', () => trail.adoptLeftovers());
  siblings.onAsked('flush', () => trail.flush());
  siblings.onAsked('keys', () => keySnapshot.refresh());
  siblings.onAsked('follow', () => reconciler.follow());
  siblings.onAsked('warm', ({ model, version }: { model: string; version: string }) => promotion.warm(model, version));
  siblings.onAsked('metrics', () => metrics.registry.getMetricsAsJSON());
}

/** Brings to PostgreSQL what all workers have committed so far. */
export async function flushAll(trail: AuditTrail, siblings: Siblings): Promise<void> {
  await Promise.all([trail.flush(), siblings.ask('flush', undefined, FLUSH_MS)]);
}

/** Resolves when the others know the keys as they are now. */
export async function keysChanged(siblings: Siblings): Promise<void> {
  await siblings.ask('keys', undefined, FOLLOW_MS);
}

/** Resolves when the others serve what the registry says now. */
export async function registryChanged(siblings: Siblings): Promise<void> {
  await siblings.ask('follow', undefined, FOLLOW_MS);
}

/** What a promotion asks of the other workers. One that ends or hangs is left out: what takes its place loads what aliases need. */
export function elsewhere(siblings: Siblings, warmLimitMs: number): Elsewhere {
  return {
    warm: async (model, version) => refuseAnyError(await siblings.ask('warm', { model, version }, warmLimitMs)),
    follow: () => registryChanged(siblings),
  };
}
