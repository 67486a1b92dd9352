/** Hot path. See docs/paths/predict.md. */
import type { Payload } from '@sibyl/audit';
import { credentialOf, type Gate } from '@sibyl/auth';
import { DomainError, type Clock } from '@sibyl/kernel';
import type { PayloadDigest, RowAnswer, ServedVersion } from '@sibyl/prediction';
import type { JsonText, LongText } from '@sibyl/protocol';
import type { Metrics } from '@sibyl/telemetry';
import type { Drain } from '../http/drain';
import { CLIENT_CLOSED, NO_DIGESTS, type Digests } from '../http/event-draft';
import type { Ended, EventRecorder } from '../http/event-recorder';
import { longPayload } from './long-payload';
import { limitHeaderLines } from '../http/limit-headers';
import { problemOf } from '../http/problem';
import { countRefusal, refusalHeaders } from '../http/refusal';
import type { Exchange, ExchangeEnd } from './exchange';
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
  /** A longer body is not kept beside its event, only its digest. */
  readonly recordedBytes: number;
  /** Of a longer payload only length and digest are kept. */
  readonly payloadBytes: number;
}

/** Ends a predict request: its event first, durable, then the answer in one write. */
export class PredictReplies implements ExchangeEnd {
  private readonly jsonHead: string;
  private readonly counters: PredictCounters;

  constructor(private readonly parts: ReplyParts) {
    this.jsonHead = linesOf({ ...parts.headers, 'Content-Type': 'application/json; charset=utf-8' });
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

  /** Records the answer; it leaves when its event is durable. */
  succeed(exchange: Exchange, answer: JsonText): void {
    if (exchange.decided) return;
    if (exchange.closed) {
      this.fail(exchange, hungUp());
      return;
    }
    if (typeof answer !== 'string') {
      void this.succeedLong(exchange, answer);
      return;
    }
    // Before anything is decided: what fails here fails the request.
    const digests = { inputs: this.inputsDigest(exchange), outputs: this.parts.digest.of(answer) };
    this.conclude(exchange, answer, digests, this.payloadOf(exchange, [answer]));
  }

  /** The same for an answer that is digested in slices. */
  private async succeedLong(exchange: Exchange, answer: LongText): Promise<void> {
    try {
      const { digest, payloadBytes } = this.parts;
      const digests = {
        inputs: this.inputsDigest(exchange),
        outputs: await digest.ofLong(answer.parts, exchange.call),
      };
      const payload = await longPayload(this.payloadOf(exchange, answer.parts), payloadBytes, exchange.call);
      if (!exchange.decided) this.conclude(exchange, answer, digests, payload);
    } catch (error) {
      this.fail(exchange, error);
    }
  }

  private inputsDigest({ inputsDigest, body }: Exchange): string {
    return inputsDigest ?? this.parts.digest.of(body ?? '');
  }

  private payloadOf({ body, basisJson }: Exchange, answer: readonly (string | Uint8Array)[]): (string | Uint8Array)[] {
    const kept = body !== undefined && body.length <= this.parts.recordedBytes;
    const end = basisJson === '' ? '}' : `,"features":${basisJson}}`;
    return kept ? ['{"request":', body, ',"answer":', ...answer, end] : ['{"answer":', ...answer, end];
  }

  private conclude(exchange: Exchange, answer: JsonText, digests: Digests, payload: Payload): void {
    exchange.decided = true;
    exchange.answer = answer;
    this.arrived(exchange);
    exchange.submittedAt = this.parts.clock.monotonic();
    this.submit(exchange, { status: 200, digests, payload });
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
    this.measure(exchange);
    this.write(exchange, 200, this.jsonHead, exchange.answer);
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

  private measure(exchange: Exchange): void {
    const now = this.parts.clock.monotonic();
    const seconds = (now - exchange.context.startedAt) / 1000;
    this.counters.ofRoute(exchange.route.pattern).record(200, seconds);
    const served = exchange.resolution?.served;
    if (served === undefined) return;
    const metrics = this.counters.of(served);
    metrics.succeed(seconds, exchange.rows);
    metrics.audit.observe((now - exchange.submittedAt) / 1000);
  }

  private answerProblem(exchange: Exchange): void {
    const { context, thrown, problem } = exchange;
    if (problem === undefined) return;
    const seconds = (this.parts.clock.monotonic() - context.startedAt) / 1000;
    const status = statusOf(exchange);
    this.counters.ofRoute(exchange.route.pattern).record(status, seconds);
    const served = exchange.resolution?.served;
    if (served !== undefined) this.counters.of(served).fail(status === 403 ? 'denied' : 'failed');
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
function hungUp(): DomainError {
  return new DomainError('request_timeout', 'The caller hung up before the answer.');
}
