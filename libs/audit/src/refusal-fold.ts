import type { Clock } from '@sibyl/kernel';
import type { AuditEventDraft, AuditedModel, AuditedResource } from './audit-event';

/** Limits of the folding of refused requests. */
export interface RefusalLimits {
  /** Refusals of one source, with one code, that get an event each in one window. */
  readonly singly: number;
  readonly windowMs: number;
  /** Sources and codes watched at once; beyond it every refusal gets its own event. */
  readonly sources: number;
}

/** What the contract promises: the first 100 in 10 s singly. */
const REFUSAL_LIMITS: RefusalLimits = { singly: 100, windowMs: 10_000, sources: 20_000 };

interface Window {
  readonly endsAt: number;
  seen: number;
  /** What the refusals that got no event of their own have in common, and for the rest the first of them. */
  folded: AuditEventDraft | undefined;
  count: number;
}

/**
 * Keeps a flood of refused requests from flooding the audit log: those past the first hundred share one event. Only those of one
 * caller for one served model do, so that the shared event names the right ones. Names that are only asked for do not keep
 * refusals apart: whoever makes them up would have an event for each.
 */
export class RefusalFold {
  private readonly windows = new Map<string, Window>();
  private readonly timer: NodeJS.Timeout;

  constructor(
    private readonly clock: Clock,
    /** Takes the shared event of a window that has ended. */
    private readonly emit: (event: AuditEventDraft) => void,
    private readonly limits: RefusalLimits = REFUSAL_LIMITS,
  ) {
    this.timer = setInterval(() => this.sweep(), Math.min(1000, limits.windowMs)).unref();
  }

  /** Whether this refusal is to be committed now; otherwise it is counted and will be in the event of its window. */
  singly(event: AuditEventDraft, code: string): boolean {
    const now = this.clock.monotonic();
    const served = event.model?.digest === undefined ? '' : event.model.name;
    const source = `${code} ${event.ip} ${event.actor.id} ${served}`;
    let window = this.windows.get(source);
    if (window && window.endsAt <= now) {
      this.end(source, window);
      window = undefined;
    }
    if (!window) {
      if (this.windows.size >= this.limits.sources) return true;
      window = { endsAt: now + this.limits.windowMs, seen: 0, folded: undefined, count: 0 };
      this.windows.set(source, window);
    }
    if (++window.seen <= this.limits.singly) return true;
    window.folded = window.folded === undefined ? event : inCommon(window.folded, event);
    window.count++;
    return false;
  }

  /** Ends windows whose time is over; runs by itself. */
  sweep(): void {
    const now = this.clock.monotonic();
    for (const [source, window] of this.windows) {
      // Windows were opened in the order of the map, so the first that is still open ends the walk.
      if (window.endsAt > now) return;
      this.end(source, window);
    }
  }

  /** Emits what is counted so far. */
  close(): void {
    clearInterval(this.timer);
    for (const [source, window] of this.windows) this.end(source, window);
  }

  private end(source: string, window: Window): void {
    this.windows.delete(source);
    if (window.folded) this.emit({ ...window.folded, count: window.count });
  }
}

/** The first event without what the second says otherwise of its model and its resource. */
function inCommon(first: AuditEventDraft, second: AuditEventDraft): AuditEventDraft {
  const model = commonModel(first.model, second.model);
  const resource = sameResource(first.resource, second.resource) ? first.resource : undefined;
  return model === first.model && resource === first.resource ? first : { ...first, model, resource };
}

function commonModel(one: AuditedModel | undefined, other: AuditedModel | undefined): AuditedModel | undefined {
  if (one === undefined || one.name !== other?.name) return undefined;
  return one.version === other.version && one.alias === other.alias ? one : { name: one.name };
}

function sameResource(one: AuditedResource | undefined, other: AuditedResource | undefined): boolean {
  return one?.type === other?.type && one?.id === other?.id;
}
