// Hot: what a prediction or a read of now asks.
import type { Pace } from '@sibyl/kernel';
import type { LiveReads } from '../engine/live-reads';
import type { OnlineAnswer, OnlineQuery, OnlineRow, PastMoment } from '../engine/online-query';
import type { PastReads } from '../engine/past-reads';
import type { StateStore } from '../engine/state-store';
import type { FeatureQuality } from '../quality/feature-quality';
import type { Micros } from '../time';
import type { Selection } from './selection';

/** What one read of a selection asks. */
export interface SelectionRead {
  readonly rows: readonly OnlineRow[];
  /** Absent: now. */
  readonly moment?: PastMoment | undefined;
  /** Milliseconds that the log may take. */
  readonly deadlineMs?: number | undefined;
  readonly coldMs?: number | undefined;
  /** Of long work; absent: that of all. */
  readonly pace?: Pace | undefined;
  /** The answer says where each row was found. */
  readonly tiers?: boolean | undefined;
}

export interface SelectedFramesParts {
  readonly store: StateStore;
  readonly live: LiveReads;
  readonly past: PastReads;
  readonly now: () => Micros;
  readonly quality: FeatureQuality;
}

/** Frames of a selection now, or as of a moment, for callers and for predictions. What is served of now goes into the profiles. */
export class SelectedFrames {
  constructor(private readonly parts: SelectedFramesParts) {}

  /** At once where it is of now and everything is in memory. */
  read(selection: Selection, asked: SelectionRead): OnlineAnswer | Promise<OnlineAnswer> {
    const { past, quality } = this.parts;
    const query = queryOf(selection, asked);
    if (asked.moment) return past.read(query, asked.moment);
    const answer = this.readNow(selection, query);
    const seen = (one: OnlineAnswer): OnlineAnswer => {
      quality.observe(selection.programs, one);
      return one;
    };
    return answer instanceof Promise ? answer.then(seen) : seen(answer);
  }

  /** Whether states of its entities are kept in memory: not of versions that nothing current names. */
  isInMemory({ programs }: Selection): boolean {
    const { store } = this.parts;
    return programs.every((program) =>
      program.plan.streams.every(
        ({ definition }, i) => store.table(definition.name)?.serves(program.needOf(i)) === true,
      ),
    );
  }

  private readNow(selection: Selection, query: OnlineQuery): OnlineAnswer | Promise<OnlineAnswer> {
    const { live, past, now } = this.parts;
    if (this.isInMemory(selection)) return live.read(query);
    const at = now();
    return past.read(query, { at, knownAt: at, corrected: false, present: true });
  }
}

/** How the engine is asked for it. */
export function queryOf(
  { programs, set }: Selection,
  { rows, deadlineMs, coldMs, pace, tiers }: Omit<SelectionRead, 'moment'>,
): OnlineQuery {
  const keepStale = set?.onStale === 'degrade';
  return { views: programs, rows, keepStale, pace, deadlineMs, coldMs, tiers };
}
