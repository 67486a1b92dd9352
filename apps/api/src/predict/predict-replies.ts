/** Hot path. See docs/paths/predict.md. */
import type { ServerResponse } from 'node:http';
import { credentialOf, type Gate } from '@sibyl/auth';
import { DomainError, type Clock } from '@sibyl/kernel';
import type { PayloadDigest, RowAnswer, ServedVersion } from '@sibyl/prediction';
import type { Metrics } from '@sibyl/telemetry';
import type { Drain } from '../http/drain';
import { CLIENT_CLOSED, type Digests } from '../http/event-draft';
import type { EventRecorder } from '../http/event-recorder';
import { limitHeaderPairs } from '../http/limit-headers';
import { problemOf } from '../http/problem';
import { countRefusal, refusalHeaders } from '../http/refusal';
import type { Exchange } from './exchange';
import { PredictCounters } from './predict-counters';
import type { Underway } from './underway';

export interface ReplyParts {
  readonly gate: Gate;
  readonly recorder: EventRecorder;
  readonly digest: PayloadDigest;
  readonly metrics: Metrics;
  readonly drain: Drain;
  readonly clock: Clock;
  readonly underway: Underway;
  /** Headers that every answer has. */
  readonly headers: Readonly<Record<string, string>>;
  /** Headers for browsers of allowed origins. */
  readonly cors: (origin: string | undefined) => Readonly<Record<string, string>>;
}

const NO_DIGESTS: Digests = { inputs: undefined, outputs: undefined };

/** Ends a predict request: its event first, durable, then the answer in one write. */
export class PredictReplies {
  private readonly fixedHeaders: string[];
  private readonly counters: PredictCounters;

  constructor(private readonly parts: ReplyParts) {
    this.fixedHeaders = Object.entries(parts.headers).flat();
    this.counters = new PredictCounters(parts.metrics);
  }

  refuseWhenStopping(): void {
    this.parts.drain.refuseWhenStopped();
  }

  /** One prediction, for the distribution of labels and values. */
  count(served: ServedVersion, answer: Pick<RowAnswer, 'label' | 'value'>): void {
    const metrics = this.counters.of(served);
    if (answer.label !== undefined) metrics.countLabel(answer.label);
    if (answer.value !== undefined) metrics.value.observe(answer.value);
  }

  /** An item of a batch that failed while the batch was answered. */
  countFailedItem(served: ServedVersion): void {
    this.counters.of(served).fail('failed');
  }

  /** The request was admitted, and its event will come. */
  began(exchange: Exchange): void {
    exchange.underway = true;
    this.parts.underway.count++;
  }

  /** Throws when the event cannot be written; the caller then fails the request with that. */
  async succeed(exchange: Exchange, body: string): Promise<void> {
    if (exchange.closed) throw hungUp();
    const { digest, clock } = this.parts;
    const { rawText, keepsRequest } = exchange;
    const digests = { inputs: digest.of(rawText), outputs: digest.of(body) };
    const payload = keepsRequest ? ['{"request":', rawText, ',"answer":', body, '}'] : ['{"answer":', body, '}'];
    const startedAt = clock.monotonic();
    this.arrived(exchange);
    await this.parts.recorder.record(exchange.context, 200, digests, payload);
    this.measure(exchange, (clock.monotonic() - startedAt) / 1000);
    this.write(exchange, 200, JSON_HEADERS, body);
  }

  async fail(exchange: Exchange, thrown: unknown): Promise<void> {
    const { context, request } = exchange;
    this.arrived(exchange);
    const place = { requestId: context.requestId, instance: request.url ?? '/' };
    let problem = problemOf(thrown, place);
    let status = exchange.closed ? CLIENT_CLOSED : problem.status;
    context.problem = problem.code;
    context.predictionId = undefined;
    if (context.principal === undefined) context.holder = this.parts.gate.holderOf(credentialOf(request.headers));
    if (thrown instanceof DomainError) countRefusal(this.parts.metrics.server, thrown);
    if (problem.code === 'internal_error') this.parts.recorder.unexpected(context, thrown);
    // What could not be recorded a moment ago is not tried again: its caller waits.
    if (problem.code !== 'audit_unavailable') {
      try {
        await this.parts.recorder.record(context, status, NO_DIGESTS);
      } catch (error) {
        problem = problemOf(error, place);
        status = problem.status;
      }
    }
    this.countFailure(exchange, status);
    const limits = thrown instanceof DomainError ? refusalHeaders(this.parts.gate, thrown, context) : {};
    this.write(exchange, problem.status, ownHeaders({ ...problem.headers, ...limits }), problem.body);
  }

  /** The spool counts it among those who wait from here on. */
  private arrived(exchange: Exchange): void {
    if (!exchange.underway) return;
    exchange.underway = false;
    this.parts.underway.count--;
  }

  private measure(exchange: Exchange, auditSeconds: number): void {
    const seconds = (this.parts.clock.monotonic() - exchange.context.startedAt) / 1000;
    this.counters.ofRoute(exchange.route.pattern).record(200, seconds);
    const served = exchange.resolution?.served;
    if (!served) return;
    const metrics = this.counters.of(served);
    metrics.succeed(seconds, exchange.rows);
    metrics.audit.observe(auditSeconds);
  }

  private countFailure(exchange: Exchange, status: number): void {
    const seconds = (this.parts.clock.monotonic() - exchange.context.startedAt) / 1000;
    this.counters.ofRoute(exchange.route.pattern).record(status, seconds);
    const served = exchange.resolution?.served;
    if (served) this.counters.of(served).fail(status === 403 ? 'denied' : 'failed');
  }

  private write(exchange: Exchange, status: number, own: readonly string[], body: string): void {
    const { response, request, context } = exchange;
    if (response.destroyed || response.headersSent) return;
    const headers = this.fixedHeaders.concat(own);
    headers.push('Content-Length', String(Buffer.byteLength(body)), 'X-Request-Id', context.requestId);
    if (context.limitState !== undefined) headers.push(...limitHeaderPairs(context.limitState));
    const { origin } = request.headers;
    if (origin !== undefined) headers.push(...Object.entries(this.parts.cors(origin)).flat());
    // A body that was not read to its end would be taken for the next request.
    if (this.parts.drain.closing || !request.complete) headers.push('Connection', 'close');
    end(response, status, headers, body);
  }
}

const JSON_HEADERS = ['Content-Type', 'application/json; charset=utf-8'];

function end(response: ServerResponse, status: number, headers: string[], body: string): void {
  response.writeHead(status, headers);
  response.end(body);
}

/** What every answer has is not written twice. */
function ownHeaders({ 'Cache-Control': _, ...headers }: Readonly<Record<string, string>>): string[] {
  return Object.entries(headers).flat();
}

/** Only for the record: nobody is there to read it. */
function hungUp(): DomainError {
  return new DomainError('request_timeout', 'The caller hung up before the answer.');
}
