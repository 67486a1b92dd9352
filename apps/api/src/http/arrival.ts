/** Hot path. See docs/paths/predict.md. */
import type { IncomingHttpHeaders } from 'node:http';
import type { Socket } from 'node:net';
import type { Clock, IdSource } from '@sibyl/kernel';
import { RequestContext } from './request-context';

const REQUEST_ID = /^[A-Za-z0-9._-]{1,128}$/;
const TRACE_PARENT = /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}/;
const NO_TRACE = '00000000000000000000000000000000';

/** The headers that tell what a request is to be called. */
interface ArrivalHeaders {
  readonly 'x-request-id'?: string | string[] | undefined;
  readonly traceparent?: string | string[] | undefined;
}

/** Begins the account of a request: its id (the caller's if it is well-formed), address, trace and times. */
export function arrive(
  headers: ArrivalHeaders | IncomingHttpHeaders,
  address: string,
  clock: Clock,
  ids: IdSource,
): RequestContext {
  const given = headers['x-request-id'];
  return new RequestContext({
    requestId: typeof given === 'string' && REQUEST_ID.test(given) ? given : ids.next(),
    ip: address,
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
export function addressOf(socket: Socket): string {
  const address = socket.remoteAddress ?? '';
  return address.startsWith('::ffff:') ? address.slice(7) : address;
}
