import type { FeatureEvent } from '../log/feature-event';
import type { Micros } from '../time';
import { EntityState, type HeldHistory } from './entity-state';
import type { PastMoment } from './online-query';
import type { StreamNeed } from './stream-need';

/** What one read of the log gave of an entity: its history as of one moment, and what came from then on. */
export interface Stretch {
  readonly from: Micros;
  readonly base: HeldHistory;
  readonly changes: readonly FeatureEvent[];
  /** All changes until then are there. */
  readonly upTo: Micros;
}

/** Whose knowledge counts at all moments of a walk: that of each moment itself, or that of one moment for all. */
export interface Knowledge {
  readonly knownAt: Micros | 'then';
  readonly corrected: boolean;
}

export function knowledgeOf({ at, knownAt, corrected }: PastMoment): Knowledge {
  return { knownAt: knownAt === at && !corrected ? 'then' : knownAt, corrected };
}

/**
 * One entity on one stream through moments of the past: its state takes the events as they came to be known, as the live one
 * did, so that moments which lie close together share what was read. Cheap from each moment to a later one.
 */
export class PastWalk {
  /** Moments that were asked for in vain, from the first to the last. */
  wanted: { readonly first: Micros; readonly last: Micros } | undefined;
  private stretch: Stretch | undefined;
  private state: EntityState | undefined;
  private at: Micros = Number.NEGATIVE_INFINITY;
  private applied = 0;
  /** When each change begins to count. */
  private counts: readonly Micros[] = [];

  /** `returns`: moments may be asked for once more after later ones; what was read is kept for that. */
  constructor(
    readonly need: StreamNeed,
    readonly entity: string,
    readonly knowledge: Knowledge,
    private readonly returns: boolean,
  ) {}

  get first(): Micros {
    return this.wanted?.first ?? this.at;
  }

  get last(): Micros {
    return this.wanted?.last ?? this.at;
  }

  momentOf(at: Micros): PastMoment {
    const { knownAt, corrected } = this.knowledge;
    return { at, knownAt: knownAt === 'then' ? at : knownAt, corrected };
  }

  /** The state as of that moment; undefined, and noted as wanted, where it has to be read. */
  find(at: Micros): EntityState | undefined {
    const { stretch } = this;
    if (stretch && at >= (this.returns ? stretch.from : this.at) && at <= stretch.upTo) {
      if (at < this.at) this.begin(stretch);
      const state = this.advance(stretch, at);
      if (state && (at === stretch.from || state.suffices(at, this.need))) return state;
    }
    const { wanted } = this;
    this.wanted = { first: Math.min(at, wanted?.first ?? at), last: Math.max(at, wanted?.last ?? at) };
    return undefined;
  }

  take(stretch: Stretch): void {
    const then = this.knowledge.knownAt === 'then';
    const countsFrom = ({ eventTime, ingestedAt }: FeatureEvent): Micros =>
      then ? Math.max(eventTime, ingestedAt) : eventTime;
    const changes = [...stretch.changes].sort((a, b) => countsFrom(a) - countsFrom(b));
    this.counts = changes.map(countsFrom);
    this.wanted = undefined;
    this.begin({ ...stretch, changes });
  }

  private begin(stretch: Stretch): void {
    this.state = new EntityState(this.need, this.entity, stretch.base);
    this.at = stretch.from;
    this.applied = 0;
    this.stretch = this.returns ? stretch : { ...stretch, base: NOT_KEPT };
  }

  private advance({ changes }: Stretch, at: Micros): EntityState | undefined {
    const { state, counts } = this;
    while (this.applied < changes.length && (counts[this.applied] as Micros) <= at)
      state?.apply(changes[this.applied++] as FeatureEvent);
    this.at = at;
    return state;
  }
}

const NOT_KEPT: HeldHistory = { events: [], whole: false, since: Number.POSITIVE_INFINITY };
