import { DomainError, type ErrorCode } from '@sibyl/kernel';
import { setTimeout as sleep } from 'node:timers/promises';

/** Long work sits out an outage of so long, a restart of the database among them, and then says that it failed. */
const PATIENCE_MS = 30_000;
const PAUSE_MS = 500;

const OUTAGES: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['database_unavailable', 'deadline_exceeded']);

export function isOutage(error: unknown): boolean {
  return error instanceof DomainError && OUTAGES.has(error.code);
}

/** Reads again and again while the database cannot be reached; throws what the last attempt met, or why it is not wanted any more. */
export async function patiently<T>(read: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  const until = performance.now() + PATIENCE_MS;
  for (;;) {
    signal?.throwIfAborted();
    try {
      return await read();
    } catch (error) {
      if (!isOutage(error) || performance.now() > until) throw error;
    }
    await sleep(PAUSE_MS);
  }
}
