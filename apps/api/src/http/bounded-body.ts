import { createReadStream } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { DomainError } from '@sibyl/kernel';
import { tooLarge, tooSlow, type BodyLimits } from './body';
import { heldBody } from './held-file';

/** The bytes of a body as they come, up to its limits. What has been given out before it breaks off was there. */
export async function* boundedBody(request: IncomingMessage, limits: BodyLimits): AsyncGenerator<Buffer> {
  const held = heldBody(request);
  if (held !== undefined) {
    yield* createReadStream(held) as AsyncIterable<Buffer>;
    return;
  }
  if (Number(request.headers['content-length'] ?? 0) > limits.bytes) throw tooLarge(limits.bytes);
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(tooSlow(limits.timeoutMs)), limits.timeoutMs);
  });
  late.catch(() => undefined);
  // Not destroyed at the end: the answer leaves by the same connection.
  const chunks = request.iterator({ destroyOnReturn: false }) as AsyncIterator<Buffer, undefined>;
  let bytes = 0;
  try {
    for (;;) {
      const step: IteratorResult<Buffer, undefined> = await Promise.race([chunks.next(), late]);
      if (step.done === true) break;
      bytes += step.value.length;
      if (bytes > limits.bytes) throw tooLarge(limits.bytes);
      yield step.value;
    }
    if (!request.complete) throw cutOff();
  } catch (error) {
    throw error instanceof DomainError ? error : cutOff(error);
  } finally {
    clearTimeout(timer);
    // It waits for more as long as it lives, and then what is left of the body could not be let pass. Not awaited: where nothing
    // comes any more, it would not end.
    chunks.return?.().catch(() => undefined);
  }
}

function cutOff(cause?: unknown): DomainError {
  return new DomainError('invalid_parameter', 'The body ended before it was complete.', { cause });
}
