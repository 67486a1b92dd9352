import type { ReadAnswer } from '@sibyl/features';

/** Why an answer may be less than was asked for, or another one later. */
export const READ_REASONS = ['deadline', 'log_unavailable', 'unsettled'] as const;

export const READ_REASON_TEXT =
  '`deadline`, `log_unavailable`: the log was too slow, or could not be read; `log_unavailable` of values from memory: for some seconds nothing could be heard of what other processes stored. `unsettled`: some of what had arrived by then was being committed still, so asked later the answer may be another one';

/** What is said of `window_beyond_retention`, wherever it is said. */
export const BEYOND_RETENTION =
  'a window begins, at the moment that is asked about, before its stream is kept: of what is older it has what is not dropped yet';

type Reasons = Partial<Pick<ReadAnswer, 'unread' | 'unsettled' | 'unheard'>>;

export function reasonsOf({ unread, unsettled, unheard }: Reasons): readonly string[] {
  const why: (typeof READ_REASONS)[number][] = [];
  if (unread === 'deadline') why.push('deadline');
  if (unread === 'failed' || unheard === true) why.push('log_unavailable');
  if (unsettled === true) why.push('unsettled');
  return why;
}
