import type { PushedEvent, UploadOutcome } from '@sibyl/features';

/** What a push is answered: of each event what became of it, or of a file the sums and its first faults. */
export function toPushView(outcome: readonly PushedEvent[] | UploadOutcome): Record<string, unknown> {
  if ('lines' in outcome) return toUploadView(outcome);
  const counts: Record<string, number> = {};
  const results = outcome.map((one) => {
    counts[one.status] = (counts[one.status] ?? 0) + 1;
    return toResultView(one);
  });
  return { counts, results };
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
