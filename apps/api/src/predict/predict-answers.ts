/** Hot path. See docs/paths/predict.md. */
import { DomainError, errorSpec, invariant, timestamp, type Clock } from '@sibyl/kernel';
import type { Receiver, RowAnswer, ServedVersion, TensorAnswer } from '@sibyl/prediction';
import { statusOf } from '../http/problem';
import type { Exchange } from './exchange';
import type { PredictReplies } from './predict-replies';

/** What an answer needs beside itself. */
interface ReplyContext {
  readonly clock: Clock;
  readonly replies: PredictReplies;
}

/*
 * Answers are put together as text: every part is JSON already, and the parts of a version are made once.
 */

/** Answers a request for one row. */
export class RowReply implements Receiver<RowAnswer> {
  constructor(
    private readonly exchange: Exchange,
    private readonly parts: ReplyContext,
  ) {}

  succeeded(row: RowAnswer): void {
    const { exchange, parts } = this;
    const served = servedOf(exchange);
    parts.replies.count(served, row);
    const id = exchange.context.predictionId ?? '';
    const text = `{"id":"${id}","prediction":${row.json},"model_info":${served.infoJson}${degraded(row.defaulted)},"timestamp":"${timestamp(parts.clock.now())}"}`;
    parts.replies.succeed(exchange, text);
  }

  failed(error: Error): void {
    this.parts.replies.fail(this.exchange, error);
  }
}

/** Answers a request for tensors. */
export class TensorReply implements Receiver<TensorAnswer> {
  constructor(
    private readonly exchange: Exchange,
    private readonly parts: ReplyContext,
  ) {}

  succeeded({ outputsJson, prediction }: TensorAnswer): void {
    const { exchange, parts } = this;
    const served = servedOf(exchange);
    if (prediction !== undefined) parts.replies.count(served, prediction);
    const id = exchange.context.predictionId ?? '';
    const decided = prediction === undefined ? '' : `,"prediction":${prediction.json}`;
    const text = `{"id":"${id}","outputs":${outputsJson}${decided},"model_info":${served.infoJson},"timestamp":"${timestamp(parts.clock.now())}"}`;
    parts.replies.succeed(exchange, text);
  }

  failed(error: Error): void {
    this.parts.replies.fail(this.exchange, error);
  }
}

function servedOf(exchange: Exchange): ServedVersion {
  invariant(exchange.resolution, 'a version was asked');
  return exchange.resolution.served;
}

export function batchAnswer(items: readonly string[], infoJson: string, nowMs: number): string {
  return `{"predictions":[${items.join(',')}],"model_info":${infoJson},"timestamp":"${timestamp(nowMs)}"}`;
}

/** One item of a batch; `infoJson` where another model than the batch's answered it. */
export function batchItem(
  symbol: string | undefined,
  row: RowAnswer | DomainError,
  infoJson: string | undefined,
): string {
  const head = symbol === undefined ? '' : `"symbol":${JSON.stringify(symbol)},`;
  if (row instanceof DomainError) return `{${head}"error":${itemProblem(row)}}`;
  const info = infoJson === undefined ? '' : `,"model_info":${infoJson}`;
  return `{${head}"prediction":${row.json}${info}${degraded(row.defaulted)}}`;
}

export interface InferAnswerParts {
  readonly id: string;
  readonly served: ServedVersion;
  readonly rows: readonly RowAnswer[];
  readonly requestId: string;
  readonly latencyMs: number;
}

export function inferAnswer({ id, served, rows, requestId, latencyMs }: InferAnswerParts): string {
  const defaulted = [...new Set(rows.flatMap((row) => row.defaulted ?? []))];
  const outputs = rows.map((row) => row.json).join(',');
  return (
    `{"id":"${id}","model_id":${JSON.stringify(served.model)},"model_version":${JSON.stringify(served.version)},` +
    `"outputs":[${outputs}]${degraded(defaulted.length ? defaulted : undefined)},` +
    `"request_id":"${requestId}","latency_ms":${Math.round(latencyMs * 1000) / 1000}}`
  );
}

function degraded(defaulted: readonly string[] | undefined): string {
  return defaulted === undefined
    ? ''
    : `,"degraded":{"reasons":["features_defaulted"],"features":${JSON.stringify(defaulted)}}`;
}

function itemProblem(error: DomainError): string {
  return JSON.stringify({
    type: `/docs/errors#${error.code}`,
    title: errorSpec(error.code).title,
    status: statusOf(error.code),
    code: error.code,
    detail: error.detail,
    ...(error.faults === undefined || error.faults.length === 0 ? {} : { errors: error.faults }),
    ...(error.retryAfterSeconds === undefined ? {} : { retry_after: Math.ceil(error.retryAfterSeconds) }),
  });
}
