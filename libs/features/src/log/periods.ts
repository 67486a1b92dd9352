import type { Database } from '@sibyl/database';
import type { Micros } from '../time';

interface Period {
  readonly from: Micros;
  readonly to: Micros;
}

/** The cuts of the log that this process knows to be there. */
export class Periods {
  private readonly known = new Map<number, Period[]>();

  constructor(private readonly database: Database) {}

  /** Makes the cuts that events of these times need, each in a transaction of its own, which is short. */
  async ensure(events: readonly { readonly retentionClass: number; readonly at: Micros }[]): Promise<void> {
    for (const { retentionClass, at } of events) {
      if (this.has(retentionClass, at)) continue;
      const [made] = await this.database.query<{ from_time: string; to_time: string }>(
        'SELECT from_time, to_time FROM features.ensure_period($1::smallint, $2::bigint)',
        [retentionClass, at],
      );
      const { from_time: from, to_time: to } = made ?? {};
      this.of(retentionClass).unshift({ from: Number(from), to: Number(to) });
    }
  }

  /** Some were dropped: all are asked for anew. */
  forget(): void {
    this.known.clear();
  }

  private has(retentionClass: number, at: Micros): boolean {
    const periods = this.of(retentionClass);
    // Events come in the order of time, so the one of the last event is most often that of the next.
    const found = periods.findIndex(({ from, to }) => at >= from && at < to);
    if (found > 0) periods.unshift(...periods.splice(found, 1));
    return found >= 0;
  }

  private of(retentionClass: number): Period[] {
    const periods = this.known.get(retentionClass) ?? [];
    this.known.set(retentionClass, periods);
    return periods;
  }
}
