import type { ReadAnswer } from '@sibyl/features';

/** Why an answer may be less than was asked for, or another one later. */
export const READ_REASONS = ['deadline', 'log_unavailable', 'unsettled'] as const;

export const READ_REASON_TEXT =
  '`deadline`, `log_unavailable`: the log was too slow, or could not be read. `unsettled`: some of what had arrived by then was being committed still, so asked later the answer may be another one';

export function reasonsOf({ unread, unsettled }: Pick<ReadAnswer, 'unread' | 'unsettled'>): readonly string[] {
  const why: (typeof READ_REASONS)[number][] = [];
  if (unread !== undefined) why.push(unread === 'deadline' ? 'deadline' : 'log_unavailable');
  if (unsettled === true) why.push('unsettled');
  return why;
}
