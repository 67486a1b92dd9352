import { DomainError } from './domain-error';

const CODES: ReadonlySet<unknown> = new Set(['ENOSPC', 'EDQUOT']);
const RETRY_SECONDS = 60;

/** Whether a disk, or what one may use of it, is full. */
export function isStorageFull(error: unknown): boolean {
  if (error instanceof DomainError) return error.code === 'storage_full';
  return error instanceof Error && CODES.has((error as NodeJS.ErrnoException).code);
}

/** A full disk is a state that passes, not a fault inside: whoever has to write is told storage_full. Other errors go on as they are. */
export async function orStorageFull<T>(write: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (error) {
    throw !(error instanceof DomainError) && isStorageFull(error) ? storageFull(error) : error;
  }
}

export function storageFull(cause: unknown): DomainError {
  const options = { cause, retryAfterSeconds: RETRY_SECONDS };
  return new DomainError('storage_full', 'The disk of the server has no room for this.', options);
}
