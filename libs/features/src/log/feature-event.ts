import type { FeatureValue } from '../feature-value';
import type { Micros } from '../time';

/** One event as it lies in the log. */
export interface FeatureEvent {
  readonly stream: string;
  readonly entity: string;
  readonly eventTime: Micros;
  /** UUID; the producer's, or made from stream, entity, time and payload (UUID version 5). */
  readonly eventId: string;
  /** When the database took it. Rises within one stream and entity in the order of commits: their last row is locked first. */
  readonly ingestedAt: Micros;
  /** Came later than the stream allows: in the log and in corrected history, never in what is or was served. */
  readonly logOnly: boolean;
  /** In the order of the stream's fields. */
  readonly values: readonly FeatureValue[];
}

/** An event as those who listen hear of it: they know by it whether they missed one. */
export interface TakenEvent extends FeatureEvent {
  /** The greatest stamp that the log had of the entity on this stream before; 0: none, or nobody knows. */
  readonly previous: Micros;
}

export const PUSH_RESULTS = [
  'ACCEPTED',
  'DUPLICATE',
  'LATE_APPLIED',
  'LATE_LOG_ONLY',
  'CORRECTED',
  'CONFLICT',
  'INVALID',
] as const;

export type PushResult = (typeof PUSH_RESULTS)[number];

/** What a read of history asks: the events that count at `at` for one who knows what was known at `knownAt`. */
export interface HistoryQuery {
  readonly stream: string;
  readonly entity: string;
  readonly at: Micros;
  /** Infinity: all that is committed. */
  readonly knownAt: Micros;
  /** Late events that never were served count too: corrected history. */
  readonly corrected: boolean;
  /** Newest events to take, and the oldest event time, which is one of them; the read ends where both are met. */
  readonly events: number;
  readonly since?: Micros;
}

/** What a second look at an entity asks: the events that count at a later moment and were not there at the first. */
export interface ChangesQuery extends Omit<HistoryQuery, 'events' | 'since'> {
  /** The first look. */
  readonly seen: { readonly at: Micros; readonly knownAt: Micros };
  /** Older ones change nothing. */
  readonly since: Micros;
  /** The oldest so many; of the time of the last of them there may be more. */
  readonly most: number;
}

/** The log as readers see it; implemented on PostgreSQL, and in memory by the oracle of the tests. */
export interface EventHistory {
  /**
   * For each query its events, oldest first, corrections resolved; all in one statement. `whole`: nothing older exists. `cut`: more
   * come after `since` than are read at one time, and the oldest of those were left out. `arrived`, where all that is committed was
   * asked for: the greatest stamp of the entity, of an event among them or not. Rejects at `deadline`, a moment.
   */
  read(queries: readonly HistoryQuery[], deadline: Micros): Promise<readonly HistoryAnswer[]>;
}

/** The log as long ways through time see it. */
export interface ChangeHistory extends EventHistory {
  /** For each query its events by time, those among them that were corrected meanwhile too; all in one statement. */
  readChanges(queries: readonly ChangesQuery[], deadline: Micros): Promise<readonly (readonly FeatureEvent[])[]>;
}

export interface HistoryAnswer {
  readonly events: readonly FeatureEvent[];
  readonly whole: boolean;
  readonly cut: boolean;
  readonly arrived?: Micros;
}

/**
 * Hears of each event that the log has taken, here or in another process. May hear of the same event twice, and of a later one of
 * an entity before it hears of an earlier one: `previous` tells.
 */
export interface EventListener {
  /** `commit`: the transaction whose events these are, where it is one of this process. */
  taken(events: readonly TakenEvent[], commit?: string): void;
  /** Some may have been missed, nobody knows which: whatever was made of events must be made anew. */
  lapsed?(): void;
}
