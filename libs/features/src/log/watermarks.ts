import type { Database } from '@sibyl/database';
import type { Micros } from '../time';
import type { EventListener, FeatureEvent } from './feature-event';
import type { LoggedStream } from './stream-catalog';

/**
 * How far streams have come: the time of the newest event that is stored of each, of whatever entity. Read once from the log and
 * kept up by what is heard of commits, so that those of other processes may be missing for as long as they take to be heard of.
 */
export class Watermarks implements EventListener {
  /** Of streams that were read; what is heard of others changes nothing. */
  private readonly marks = new Map<string, Micros>();
  private readonly reading = new Map<string, Promise<void>>();

  constructor(private readonly database: Pick<Database, 'query'>) {}

  /** Undefined: nothing is stored, or it was not begun. */
  of(stream: string): Micros | undefined {
    const mark = this.marks.get(stream);
    return mark === Number.NEGATIVE_INFINITY ? undefined : mark;
  }

  /** Reads where the stream stands, once for all who ask. */
  async begin({ id, definition: { name } }: LoggedStream): Promise<void> {
    let reading = this.reading.get(name);
    if (!reading) {
      if (this.marks.has(name)) return;
      reading = this.read(id, name).finally(() => this.reading.delete(name));
      this.reading.set(name, reading);
    }
    await reading;
  }

  taken(events: readonly FeatureEvent[]): void {
    for (const { stream, eventTime } of events) {
      const mark = this.marks.get(stream);
      if (mark !== undefined && eventTime > mark) this.marks.set(stream, eventTime);
    }
  }

  lapsed(): void {
    this.marks.clear();
  }

  private async read(id: number, name: string): Promise<void> {
    // What is heard while it is read counts.
    this.marks.set(name, Number.NEGATIVE_INFINITY);
    try {
      const [row] = await this.database.query<{ newest: string | null }>(
        'SELECT max(event_time) AS newest FROM features.latest WHERE stream = $1',
        [id],
      );
      const mark = this.marks.get(name);
      const newest = row?.newest ?? undefined;
      if (newest !== undefined && mark !== undefined) this.marks.set(name, Math.max(mark, Number(newest)));
    } catch (error) {
      this.marks.delete(name);
      throw error;
    }
  }
}
