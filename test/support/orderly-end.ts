import type { TestServer } from './server.mjs';

/** The server ended by itself, with all that it had to do: its own limit for that was not reached. */
export function expectOrderlyEnd(server: TestServer, end: Awaited<ReturnType<TestServer['terminate']>>): void {
  const gaveUp = server.log.split('\n').filter((line) => line.includes('stopping took too long'));
  expect({ code: end.code, signal: end.signal, gaveUp }).toEqual({ code: 0, signal: null, gaveUp: [] });
}
