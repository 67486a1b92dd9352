/** Hot path. See docs/paths/predict.md. */
import type { Payload } from '@sibyl/audit';
import { credentialOf, type Gate } from '@sibyl/auth';
import { DomainError, type Clock } from '@sibyl/kernel';
import type { JsonText } from '@sibyl/protocol';
import type { Metrics, RouteMetrics } from '@sibyl/telemetry';
import type { Drain } from '../http/drain';
import { CLIENT_CLOSED, NO_DIGESTS, type Digests } from '../http/event-draft';
import type { Ended, EventRecorder } from '../http/event-recorder';
import { limitHeaderLines } from '../http/limit-headers';
import { problemOf } from '../http/problem';
import { countRefusal, refusalHeaders } from '../http/refusal';
import type { Exchange, ExchangeEnd } from './exchange';
import type { Underway } from './underway';

/** What a caller is answered who prefers to know of parts by the status (RFC 7240 §3). */
export const MULTI_STATUS = 207;
const APPLIED = 'Preference-Applied: status=multi\r\n';

export interface ReplyParts {
  readonly gate: Gate;
  readonly recorder: EventRecorder;
  readonly metrics: Metrics;
  readonly drain: Drain;
  readonly clock: Clock;
  readonly underway: Underway;
  /** Headers that every answer has. */
  readonly headers: Readonly<Record<string, string>>;
  /** Headers for browsers of allowed origins. */
  readonly cors: (origin: string | undefined) => Readonly<Record<string, string>>;
}

/** Ends a request: its event first, durable, then the answer in one write. */
export class Replies implements ExchangeEnd {
  private readonly jsonHead: string;
  private readonly routes = new Map<string, RouteMetrics>();

  constructor(private readonly parts: ReplyParts) {
    this.jsonHead = linesOf({ ...parts.headers, 'Content-Type': 'application/json; charset=utf-8' });
  }

  refuseWhenStopping(): void {
    this.parts.drain.refuseWhenStopped();
  }

  /** The request was admitted, and its event will come. */
  began(exchange: Exchange): void {
    exchange.underway = true;
    this.parts.underway.count++;
  }

  /** Records the answer; it leaves when its event is durable. */
  conclude(exchange: Exchange, answer: JsonText, digests: Digests = NO_DIGESTS, payload?: Payload): void {
    exchange.decided = true;
    exchange.answer = answer;
    this.arrived(exchange);
    exchange.submittedAt = this.parts.clock.monotonic();
    this.submit(exchange, { status: exchange.status, digests, payload });
  }

  /** Records the failure; the problem leaves when its event is durable. */
  fail(exchange: Exchange, thrown: unknown): void {
    const { context, wire } = exchange;
    const { gate, recorder, metrics } = this.parts;
    if (exchange.decided) {
      if (!(thrown instanceof DomainError)) recorder.unexpected(context, thrown);
      return;
    }
    exchange.decided = true;
    exchange.thrown = thrown;
    this.arrived(exchange);
    const { requestId, principal: caller } = context;
    const problem = problemOf(thrown, { requestId, caller, instance: wire.target });
    exchange.problem = problem;
    context.problem = problem.code;
    context.predictionId = undefined;
    if (context.principal === undefined) context.holder = gate.holderOf(credentialOf(wire.headers));
    if (thrown instanceof DomainError) countRefusal(metrics.server, thrown);
    if (problem.code === 'internal_error') recorder.unexpected(context, thrown);
    // What could not be recorded a moment ago is not tried again: its caller waits.
    if (problem.code === 'audit_unavailable') this.recorded(exchange);
    else this.submit(exchange, { status: statusOf(exchange), digests: NO_DIGESTS, payload: undefined });
  }

  /** An event that cannot even be written is one that is not recorded. */
  private submit(exchange: Exchange, ended: Ended): void {
    try {
      this.parts.recorder.submit(exchange.context, ended, exchange);
    } catch (cause) {
      this.parts.recorder.unexpected(exchange.context, cause);
      const detail = 'The event of this request could not be recorded.';
      exchange.lost(new DomainError('audit_unavailable', detail, { cause }));
    }
  }

  recorded(exchange: Exchange): void {
    if (exchange.problem !== undefined) {
      this.answerProblem(exchange);
      return;
    }
    const { status, answer } = exchange;
    this.measure(exchange, status);
    this.write(exchange, status, status === MULTI_STATUS ? this.jsonHead + APPLIED : this.jsonHead, answer);
  }

  /** Nothing is answered that cannot be recorded. */
  unrecorded(exchange: Exchange, error: Error): void {
    exchange.thrown = error;
    exchange.problem = problemOf(error, { requestId: exchange.context.requestId, instance: exchange.wire.target });
    this.answerProblem(exchange);
  }

  broken(exchange: Exchange, error: unknown): void {
    this.parts.recorder.unexpected(exchange.context, error);
    exchange.wire.abort();
  }

  /** The spool counts it among those who wait from here on. */
  private arrived(exchange: Exchange): void {
    if (!exchange.underway) return;
    exchange.underway = false;
    this.parts.underway.count--;
  }

  private measure(exchange: Exchange, status: number): void {
    const now = this.parts.clock.monotonic();
    const seconds = (now - exchange.context.startedAt) / 1000;
    this.ofRoute(exchange.pattern).record(status, seconds);
    exchange.measured({ status, seconds, auditSeconds: (now - exchange.submittedAt) / 1000 });
  }

  /** The counters of a route, found without putting a name together for each request. */
  private ofRoute(pattern: string): RouteMetrics {
    const known = this.routes.get(pattern);
    if (known !== undefined) return known;
    const made = this.parts.metrics.http.of(pattern, 'POST');
    this.routes.set(pattern, made);
    return made;
  }

  private answerProblem(exchange: Exchange): void {
    const { context, thrown, problem } = exchange;
    if (problem === undefined) return;
    this.measure(exchange, statusOf(exchange));
    const limits = thrown instanceof DomainError ? refusalHeaders(this.parts.gate, thrown, context) : {};
    this.write(
      exchange,
      problem.status,
      linesOf({ ...this.parts.headers, ...problem.headers, ...limits }),
      problem.body,
    );
  }

  private write(exchange: Exchange, status: number, head: string, body: JsonText): void {
    const { wire, context } = exchange;
    let lines = `${head}X-Request-Id: ${context.requestId}\r\n`;
    if (context.limitState !== undefined) lines += limitHeaderLines(context.limitState);
    const { origin } = wire.headers;
    if (origin !== undefined) lines += linesOf(this.parts.cors(origin));
    wire.answer(status, lines, body, this.parts.drain.closing);
  }
}

/** Of a problem; that of a caller who is gone is for the record only. */
function statusOf({ closed, problem }: Exchange): number {
  return closed ? CLIENT_CLOSED : (problem?.status ?? 500);
}

function linesOf(headers: Readonly<Record<string, string>>): string {
  let lines = '';
  for (const [name, value] of Object.entries(headers)) lines += `${name}: ${value}\r\n`;
  return lines;
}

/** Only for the record: nobody is there to read it. */
export function hungUp(): DomainError {
  return new DomainError('request_timeout', 'The caller hung up before the answer.');
}
