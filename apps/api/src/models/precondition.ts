import type { Precondition } from '@sibyl/registry';

/** The conditional headers of a request, absent members left out. */
export function preconditionOf(headers: Readonly<Record<string, string | undefined>>): Precondition {
  const { 'if-match': ifMatch, 'if-none-match': ifNoneMatch } = headers;
  return { ...(ifMatch === undefined ? {} : { ifMatch }), ...(ifNoneMatch === undefined ? {} : { ifNoneMatch }) };
}
