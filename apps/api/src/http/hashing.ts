import type { Hash } from 'node:crypto';

/** Lets the chunks of a stream pass, and hashes them. */
export function hashing(hash: Hash) {
  return async function* (chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of chunks) {
      hash.update(chunk);
      yield chunk;
    }
  };
}
