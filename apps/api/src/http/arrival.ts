/** Hot path. See docs/paths/predict.md. */
import type { IncomingMessage } from 'node:http';
import type { Clock, IdSource } from '@sibyl/kernel';
import { RequestContext } from './request-context';

const REQUEST_ID = /^[A-Za-z0-9._-]{1,128}$/;
const TRACE_PARENT = /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}/;
const NO_TRACE = '00000000000000000000000000000000';

/** Begins the account of a request: its id (the caller's if it is well-formed), address, trace and times. */
export function arrive(request: IncomingMessage, clock: Clock, ids: IdSource): RequestContext {
  const { headers } = request;
  const given = headers['x-request-id'];
  return new RequestContext({
    requestId: typeof given === 'string' && REQUEST_ID.test(given) ? given : ids.next(),
    ip: addressOf(request),
    startedAt: clock.monotonic(),
    occurredAtMs: clock.now(),
    traceId: traceOf(headers['traceparent']),
  });
}

/** The trace id of a W3C `traceparent`; anything else is as if there were none. */
function traceOf(header: string | string[] | undefined): string | undefined {
  if (typeof header !== 'string') return undefined;
  const id = TRACE_PARENT.exec(header)?.[1];
  return id === NO_TRACE ? undefined : id;
}

/** The peer's address; IPv4 in its own notation also where the socket is IPv6. */
function addressOf(request: IncomingMessage): string {
  const address = request.socket.remoteAddress ?? '';
  return address.startsWith('::ffff:') ? address.slice(7) : address;
}
