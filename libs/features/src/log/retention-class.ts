import { MICROS_PER_MS, type Micros } from '../time';

const DAY = 86_400_000_000;

/**
 * How finely the log is cut for a stream that keeps events so long: by day, week, month or year. Coarser the longer they are
 * kept, so that reading an entity's history never goes through more than some forty cuts.
 */
export const RETENTION_CLASSES: readonly { readonly cut: string; readonly upTo: Micros }[] = [
  { cut: 'day', upTo: 32 * DAY },
  { cut: 'week', upTo: 32 * 7 * DAY },
  { cut: 'month', upTo: 36 * 31 * DAY },
  { cut: 'year', upTo: Infinity },
];

export function retentionClassOf(retention: Micros): number {
  return RETENTION_CLASSES.findIndex(({ upTo }) => retention <= upTo);
}

/** Where the cut begins that this moment lies in, as `features.ensure_period` makes it. */
export function cutBegin(retentionClass: number, at: Micros): Micros {
  const day = Math.floor(at / DAY);
  const date = new Date(at / MICROS_PER_MS);
  switch (RETENTION_CLASSES[retentionClass]?.cut) {
    case 'day':
      return day * DAY;
    case 'week':
      // The first day of 1970 was a Thursday.
      return (Math.floor((day + 3) / 7) * 7 - 3) * DAY;
    case 'month':
      return Date.UTC(date.getUTCFullYear(), date.getUTCMonth()) * MICROS_PER_MS;
    default:
      return Date.UTC(date.getUTCFullYear(), 0) * MICROS_PER_MS;
  }
}

/** Whether a stream of this class may keep its events so long without the cuts becoming too many. */
export function classHolds(retentionClass: number, retention: Micros): boolean {
  return retention <= (RETENTION_CLASSES[retentionClass]?.upTo ?? 0);
}
