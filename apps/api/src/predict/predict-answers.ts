/** Hot path. See docs/paths/predict.md. */
import { DomainError, errorSpec, timestamp } from '@sibyl/kernel';
import type { RowAnswer, ServedVersion, TensorAnswer } from '@sibyl/prediction';
import { statusOf } from '../http/problem';

/** Answers are put together as text: every part is JSON already, and the parts of a version are made once. */

export function singleAnswer(id: string, served: ServedVersion, row: RowAnswer, nowMs: number): string {
  return `{"id":"${id}","prediction":${row.json},"model_info":${served.infoJson}${degraded(row.defaulted)},"timestamp":"${timestamp(nowMs)}"}`;
}

export function tensorAnswer(id: string, served: ServedVersion, answer: TensorAnswer, nowMs: number): string {
  const prediction = answer.prediction === undefined ? '' : `,"prediction":${answer.prediction.json}`;
  return `{"id":"${id}","outputs":${answer.outputsJson}${prediction},"model_info":${served.infoJson},"timestamp":"${timestamp(nowMs)}"}`;
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
