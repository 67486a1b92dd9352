import type { FeatureValue, ValueStatus } from '../feature-value';
import type { Micros } from '../time';
import type { EntityState } from './entity-state';
import { readEventId } from './event-id';
import type { Series } from './series';
import { valueBytes } from './value-bytes';

/** What the values of one entity rest on, of one stream; with `at` it is enough to compute them again from the log. */
export class StreamBasis {
  readonly entity: string;
  /** When the newest event that counts happened; NaN: there is none. */
  readonly eventTime: Micros;
  /** The latest arrival among all that was known of the entity. */
  arrived: Micros;
  private readonly words: readonly number[] | undefined;

  constructor(
    readonly stream: string,
    state: EntityState,
    { start, end }: Series,
  ) {
    this.entity = state.entity;
    this.eventTime = end > start ? state.columns.timeAt(end - 1) : Number.NaN;
    this.arrived = state.arrived;
    this.words = end > start ? state.columns.idWords(end - 1) : undefined;
  }

  /** Of the newest event that counts. */
  get eventId(): string | undefined {
    return this.words && readEventId(this.words, 0);
  }
}

/** The values of one entity at a moment, by the slots of its plan. Not changed once it is made. */
export interface Frame {
  readonly at: Micros;
  /** Null wherever the status is neither PRESENT nor DEFAULTED; except STALE ones where those are kept. */
  readonly values: FeatureValue[];
  readonly statuses: ValueStatus[];
  /** When the newest event behind the value happened, of an expression the oldest of its inputs that come from streams and not from tables; NaN: none is behind it. */
  readonly times: number[];
  /** Slots that the request gave; absent: none. */
  readonly given?: Given | undefined;
  /** By the index of the stream, and after those what was looked up by key. */
  readonly basis: StreamBasis[];
  readonly keepsStale: boolean;
  /** The same events give the same values at each moment of `[from, until)`: no ttl ends in it, the same events count, and lie in each window. */
  from: Micros;
  until: Micros;
  /** The same of what does not change with each moment: another frame may begin with it. */
  calmFrom: Micros;
  calmUntil: Micros;
  /** It has served before: what is made of it may be asked for once more. */
  found: boolean;
}

/** Measured: one `StreamBasis`. */
export const BASIS_BYTES = 140;
/** A number among the values of a request. */
const GIVEN_BYTES = 24;

/** What a frame holds besides numbers; `heavy`: the slots that may have something else. */
export function heldBytes({ values, given }: Frame, heavy: readonly number[]): number {
  let bytes = given ? 2 * given.key.length + GIVEN_BYTES * given.values.length : 0;
  for (const slot of heavy) {
    const ofRequest = given?.values[slot];
    if (ofRequest !== undefined) bytes += valueBytes(ofRequest);
    if (values[slot] !== ofRequest) bytes += valueBytes(values[slot]);
  }
  return bytes;
}

/** Values of a request, by slot; `undefined` where it gave none. */
export interface Given {
  readonly values: readonly (FeatureValue | undefined)[];
  /** The same values in the same slots have the same key. */
  readonly key: string;
}
