import type { Micros } from '../time';

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

/** Whether a stream of this class may keep its events so long without the cuts becoming too many. */
export function classHolds(retentionClass: number, retention: Micros): boolean {
  return retention <= (RETENTION_CLASSES[retentionClass]?.upTo ?? 0);
}
