import { instantText, type PushedEvent, type UploadOutcome } from '@sibyl/features';
import type { PushAnswer } from './pushes';

/** What a push is answered: of each event what became of it, or of a file the sums and its first faults. */
export function toPushView({ outcome, watermark }: PushAnswer): Record<string, unknown> {
  const until = watermark === undefined ? {} : { watermark: instantText(watermark) };
  if ('lines' in outcome) return { ...toUploadView(outcome), ...until };
  const counts: Record<string, number> = {};
  const results = outcome.map((one) => {
    counts[one.status] = (counts[one.status] ?? 0) + 1;
    return toResultView(one);
  });
  return { counts, results, ...until };
}

function toUploadView({ lines, counts, faults }: UploadOutcome): Record<string, unknown> {
  return { lines, counts, faults: faults.map(({ line, ...one }) => ({ line, ...toResultView(one) })) };
}

function toResultView({ status, eventId, reason, fault }: PushedEvent): Record<string, unknown> {
  return {
    status,
    ...(eventId === undefined ? {} : { event_id: eventId }),
    ...(reason === undefined ? {} : { reason }),
    ...(fault === undefined ? {} : { error: fault }),
  };
}
