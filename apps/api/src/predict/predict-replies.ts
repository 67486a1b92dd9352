/** Hot path. See docs/paths/predict.md. */
import type { PayloadDigest, RowAnswer, ServedVersion } from '@sibyl/prediction';
import type { JsonText, LongText } from '@sibyl/protocol';
import type { Measured } from '../front/exchange';
import { hungUp, Replies, type ReplyParts } from '../front/replies';
import { longPayload } from './long-payload';
import { PredictCounters } from './predict-counters';
import type { PredictEnd, PredictExchange } from './predict-exchange';

export interface PredictReplyParts extends ReplyParts {
  readonly digest: PayloadDigest;
  /** A longer body is not kept beside its event, only its digest. */
  readonly recordedBytes: number;
  /** Of a longer payload only length and digest are kept. */
  readonly payloadBytes: number;
}

/** Ends a predict request, with digests of what it took and gave, and both beside its event. */
export class PredictReplies extends Replies implements PredictEnd {
  private readonly counters: PredictCounters;

  constructor(private readonly own: PredictReplyParts) {
    super(own);
    this.counters = new PredictCounters(own.metrics);
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

  /** Records the answer; it leaves when its event is durable. */
  succeed(exchange: PredictExchange, answer: JsonText): void {
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
    const digests = { inputs: this.inputsDigest(exchange), outputs: this.own.digest.of(answer) };
    this.conclude(exchange, answer, digests, this.payloadOf(exchange, [answer]));
  }

  measured({ resolution, rows }: PredictExchange, { status, seconds, auditSeconds }: Measured): void {
    const served = resolution?.served;
    if (served === undefined) return;
    const metrics = this.counters.of(served);
    if (status !== 200) {
      metrics.fail(status === 403 ? 'denied' : 'failed');
      return;
    }
    metrics.succeed(seconds, rows);
    metrics.audit.observe(auditSeconds);
  }

  /** The same for an answer that is digested in slices. */
  private async succeedLong(exchange: PredictExchange, answer: LongText): Promise<void> {
    try {
      const { digest, payloadBytes } = this.own;
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

  private inputsDigest({ inputsDigest, body }: PredictExchange): string {
    return inputsDigest ?? this.own.digest.of(body ?? '');
  }

  private payloadOf(
    { body, basisJson }: PredictExchange,
    answer: readonly (string | Uint8Array)[],
  ): (string | Uint8Array)[] {
    const kept = body !== undefined && body.length <= this.own.recordedBytes;
    const end = basisJson === '' ? '}' : `,"features":${basisJson}}`;
    return kept ? ['{"request":', body, ',"answer":', ...answer, end] : ['{"answer":', ...answer, end];
  }
}
