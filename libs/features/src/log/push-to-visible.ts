// Hot: every event that is taken anywhere passes here.
import { MICROS_PER_SECOND, type Micros } from '../time';
import type { EventListener, TakenEvent } from './feature-event';

/** Stamps of events that were told, for those that are told twice: some seconds of the fastest pushes. */
const STAMPS = 50_000;

/** Measures how long events take from their stamp in the log until they are served here: it hears of them after those who serve. */
export class PushToVisible implements EventListener {
  // Two halves, and the older one goes as a whole: a set that lost its first members one by one would be walked through for the next.
  private recent = new Set<Micros>();
  private older = new Set<Micros>();

  constructor(
    private readonly now: () => Micros,
    private readonly observe: (seconds: number) => void,
  ) {}

  taken(events: readonly TakenEvent[]): void {
    const now = this.now();
    for (const { ingestedAt, logOnly } of events) {
      if (logOnly || this.recent.has(ingestedAt) || this.older.has(ingestedAt)) continue;
      // The stamp is of the database's clock.
      this.observe(Math.max(0, now - ingestedAt) / MICROS_PER_SECOND);
    }
    for (const { ingestedAt } of events) this.keep(ingestedAt);
  }

  private keep(stamp: Micros): void {
    if (this.recent.size >= STAMPS / 2) {
      this.older = this.recent;
      this.recent = new Set();
    }
    this.recent.add(stamp);
  }
}
