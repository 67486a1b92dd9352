import { COLD_ROW_MS } from '@sibyl/features';
import type { FeatureCall } from '@sibyl/prediction';

/**
 * Milliseconds that the log may take for what a call asks and is not in memory: one row does without it rather than wait, and many
 * have what each would have alone, as long as half of what is left of the call remains for the model.
 */
export function coldMsOf({ deadlineAt, rows }: FeatureCall, now: number): number {
  return Math.max(COLD_ROW_MS, Math.min(COLD_ROW_MS * rows, (deadlineAt - now) / 2));
}
