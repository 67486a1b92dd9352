import type { Socket } from 'node:net';
import type { Server } from 'node:http';
import type { AuditTrail } from '@sibyl/audit';
import { DomainError, type Clock, type IdSource } from '@sibyl/kernel';
import type { Metrics } from '@sibyl/telemetry';
import { AnswersUnderWay } from './answers-under-way';
import { eventDraft } from './event-draft';
import type { HttpOptions } from './http-options';
import { problemOf } from './problem';
import { RequestContext } from './request-context';

export interface BrokenRequestParts {
  readonly trail: AuditTrail;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly metrics: Metrics;
  readonly options: HttpOptions;
}

/**
 * Answers what Node refuses before there is a request. Headers that are too large, too slow or contradict each other are HTTP
 * and leave an event; bytes that are not HTTP are counted and cut off. Requests that came before on the same connection get
 * their answers first.
 */
export function answerBrokenRequests(server: Server, parts: BrokenRequestParts): void {
  // The parser goes on to complain while the first answer is on its way.
  const answered = new WeakSet<Socket>();
  const answers = new AnswersUnderWay();
  // Before the handlers of requests, which may answer at once.
  server.prependListener('request', (request, response) => answers.add(request.socket, response));
  // Node hands CONNECT to whoever wants a tunnel; it is a request like another, with a method that no path takes.
  server.on('connect', (_request, socket) => server.emit('clientError', tunnelWanted(), socket));
  server.on('clientError', (error: NodeJS.ErrnoException, stream) => {
    const socket = stream as Socket;
    if (answered.has(socket)) return;
    answered.add(socket);
    if (!socket.writable || error.code === 'ECONNRESET') {
      socket.destroy();
      return;
    }
    parts.metrics.server.brokenRequests.inc({ code: codeOf(error) });
    const broken = answers.cutOff(socket);
    // A body that breaks after its answer has begun: no second answer to the same request.
    if (broken?.headersSent === true) {
      socket.end();
      return;
    }
    const refusal = refusalOf(error, parts.options);
    const requestId = parts.ids.next();
    const { status, headers, body } = problemOf(refusal, { requestId, instance: '' });
    const answer = [
      `HTTP/1.1 ${status} ${REASONS[status] ?? 'Bad Request'}`,
      ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
      `X-Request-Id: ${requestId}`,
      `Content-Length: ${Buffer.byteLength(body)}`,
      'Connection: close',
    ];
    const finish = (): void => {
      if (socket.writable) socket.end(`${answer.join('\r\n')}\r\n\r\n${body}`);
      else socket.destroy();
    };
    // What breaks in the body of a request is in the event of that request, which ends with its connection.
    const recorded =
      broken === undefined && isHttp(error, status)
        ? record(parts, socket, requestId, refusal, status)
        : Promise.resolve();
    void Promise.all([recorded, answers.ended(socket)]).finally(finish);
  });
}

/** Requests that were read well enough to be refused for what they say: lengths that contradict each other are smuggling. */
function isHttp(error: NodeJS.ErrnoException, status: number): boolean {
  return status !== 400 || CONTRADICTIONS.has(error.code ?? '');
}

const CONTRADICTIONS: ReadonlySet<string> = new Set([
  'HPE_UNEXPECTED_CONTENT_LENGTH',
  'HPE_INVALID_CONTENT_LENGTH',
  'HPE_INVALID_TRANSFER_ENCODING',
]);

const REASONS: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  431: 'Request Header Fields Too Large',
};

const TUNNEL = 'ERR_HTTP_CONNECT';

function tunnelWanted(): Error {
  return Object.assign(new Error('CONNECT'), { code: TUNNEL });
}

function refusalOf(error: NodeJS.ErrnoException, options: HttpOptions): DomainError {
  if (error.code === 'HPE_HEADER_OVERFLOW') {
    return new DomainError('headers_too_large', `All headers together may have ${options.headerBytes} bytes.`, {
      cause: error,
    });
  }
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    const detail = `The headers did not arrive within ${options.headersTimeoutMs / 1000} seconds.`;
    return new DomainError('request_timeout', detail, { cause: error });
  }
  if (error.code === TUNNEL) return new DomainError('method_not_allowed', 'No path takes CONNECT.', { cause: error });
  return new DomainError('invalid_parameter', 'The request is not valid HTTP/1.1.', { cause: error });
}

/** Codes of the parser are a closed set; anything else shares one label. */
function codeOf(error: NodeJS.ErrnoException): string {
  return error.code !== undefined && /^(HPE|ERR_HTTP)_[A-Z_]{1,48}$/.test(error.code) ? error.code : 'other';
}

async function record(
  { trail, clock, metrics }: BrokenRequestParts,
  socket: Socket,
  requestId: string,
  refusal: DomainError,
  status: number,
): Promise<void> {
  const ip = socket.remoteAddress?.replace(/^::ffff:/, '') ?? '';
  const context = new RequestContext({ requestId, ip, startedAt: clock.monotonic(), occurredAtMs: clock.now() });
  context.problem = refusal.code;
  // A refusal that cannot be recorded is still a refusal: there is nothing here to hold back.
  await trail.commit(eventDraft(context, status, 0)).then(
    () => metrics.server.countEvent('failed'),
    () => undefined,
  );
}
