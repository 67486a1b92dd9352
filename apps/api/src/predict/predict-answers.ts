/** Hot path. See docs/paths/predict.md. */
import type { Principal } from '@sibyl/auth';
import { DomainError, errorSpec, invariant, timestamp, type Clock } from '@sibyl/kernel';
import { joinJson, type JsonText } from '@sibyl/protocol';
import type { Receiver, RowAnswer, RowFill, RowPrediction, ServedVersion, TensorAnswer } from '@sibyl/prediction';
import { detailFor, statusOf } from '../http/problem';
import type { PredictExchange } from './predict-exchange';
import type { PredictReplies } from './predict-replies';

/** What an answer needs beside itself. */
interface ReplyContext {
  readonly clock: Clock;
  readonly replies: PredictReplies;
}

/*
 * Answers are put together as text: every part is JSON already, and the parts of a version are made once.
 */

/** Answers a request when its outputs are there. It may not throw: whoever calls it has the answers of others in hand. */
abstract class Reply<T> implements Receiver<T> {
  constructor(
    private readonly exchange: PredictExchange,
    private readonly parts: ReplyContext,
  ) {}

  succeeded(answer: T): void {
    const { exchange, parts } = this;
    try {
      invariant(exchange.resolution, 'a version was asked');
      const { served } = exchange.resolution;
      const decided = this.decided(answer, exchange);
      if (decided !== undefined) parts.replies.count(served, decided);
      const id = exchange.context.predictionId ?? '';
      const members = this.members(answer, served);
      const [before, after] = [`{"id":"${id}",`, `,"timestamp":"${timestamp(parts.clock.now())}"}`];
      parts.replies.succeed(exchange, joined(before, members, after));
    } catch (error) {
      parts.replies.fail(exchange, error);
    }
  }

  failed(error: Error): void {
    this.parts.replies.fail(this.exchange, error);
  }

  /** What was decided, for metrics. */
  protected abstract decided(answer: T, exchange: PredictExchange): RowPrediction | undefined;
  /** The members between id and timestamp, as JSON text. */
  protected abstract members(answer: T, served: ServedVersion): JsonText;
}

/** Answers a request for one row. */
export class RowReply extends Reply<RowAnswer> {
  protected decided(row: RowAnswer, exchange: PredictExchange): RowPrediction {
    if (row.fill?.basis !== undefined) exchange.madeFrom([row]);
    return row;
  }

  protected members(row: RowAnswer, served: ServedVersion): JsonText {
    return joined('"prediction":', row.json, `,"model_info":${served.infoJson}${degraded(served, row.fill)}`);
  }
}

/** Answers a request for tensors. */
export class TensorReply extends Reply<TensorAnswer> {
  protected decided(answer: TensorAnswer): RowPrediction | undefined {
    return answer.prediction;
  }

  protected members({ outputsJson, prediction }: TensorAnswer, served: ServedVersion): JsonText {
    const decided = prediction === undefined ? '' : joined(',"prediction":', prediction.json, '');
    return joined(
      '"outputs":',
      outputsJson,
      joined('', decided, `,"model_info":${served.infoJson}${degraded(served, undefined)}`),
    );
  }
}

/** Three texts, as one string where they are strings. */
function joined(before: string, text: JsonText, after: JsonText): JsonText {
  return typeof text === 'string' && typeof after === 'string'
    ? before + text + after
    : joinJson([before, text, after]);
}

/** Texts with commas between them. */
function listed(texts: readonly JsonText[]): JsonText {
  if (texts.every((text) => typeof text === 'string')) return texts.join(',');
  return joinJson(texts.flatMap((text, i) => (i === 0 ? [text] : [',', text])));
}

export function batchAnswer(items: readonly JsonText[], infoJson: string, nowMs: number): JsonText {
  const after = `],"model_info":${infoJson},"timestamp":"${timestamp(nowMs)}"}`;
  return joined('{"predictions":[', listed(items), after);
}

/** One item of a batch, and the version that answered it; its `model_info` where that is not the batch's. */
export function batchItem(
  symbol: string | undefined,
  row: RowAnswer | DomainError,
  served: ServedVersion | undefined,
  withInfo: boolean,
  caller: Principal | undefined,
): JsonText {
  const head = symbol === undefined ? '' : `"symbol":${JSON.stringify(symbol)},`;
  if (row instanceof DomainError) return `{${head}"error":${itemProblem(row, caller)}}`;
  const info = served !== undefined && withInfo ? `,"model_info":${served.infoJson}` : '';
  return joined(`{${head}"prediction":`, row.json, `${info}${degraded(served, row.fill)}}`);
}

export interface InferAnswerParts {
  readonly id: string;
  readonly served: ServedVersion;
  readonly rows: readonly RowAnswer[];
  readonly requestId: string;
  readonly latencyMs: number;
}

export function inferAnswer({ id, served, rows, requestId, latencyMs }: InferAnswerParts): JsonText {
  const all = (of: 'defaulted' | 'stale'): string[] => [...new Set(rows.flatMap((row) => row.fill?.[of] ?? []))];
  const some = (of: 'unsettled' | 'beyondRetention'): boolean => rows.some((row) => row.fill?.[of] === true);
  const [unsettled, beyondRetention] = [some('unsettled'), some('beyondRetention')];
  const before =
    `{"id":"${id}","model_id":${JSON.stringify(served.model)},"model_version":${JSON.stringify(served.version)},` +
    `"outputs":[`;
  const after =
    `]${degraded(served, { defaulted: all('defaulted'), stale: all('stale'), unsettled, beyondRetention })},` +
    `"request_id":"${requestId}","latency_ms":${Math.round(latencyMs * 1000) / 1000}}`;
  return joined(before, listed(rows.map((row) => row.json)), after);
}

/** Why an answer is less than what was asked for; nothing where it is not. */
function degraded(served: ServedVersion | undefined, fill: Filled | undefined): string {
  const insteadOf = served?.insteadOf;
  if (insteadOf === undefined && isWhole(fill)) return '';
  const { defaulted, stale, unsettled, beyondRetention } = fill ?? WHOLE;
  const reasons = [
    ...(defaulted.length > 0 ? ['features_defaulted'] : []),
    ...(stale.length > 0 ? ['features_stale'] : []),
    ...(unsettled === true ? ['features_unsettled'] : []),
    ...(beyondRetention === true ? ['features_beyond_retention'] : []),
    ...(insteadOf === undefined ? [] : ['fallback_version']),
  ];
  const named = [...defaulted, ...stale];
  const features = named.length > 0 ? named : undefined;
  return `,"degraded":${JSON.stringify({ reasons, features, instead_of: insteadOf })}`;
}

type Filled = Pick<RowFill, 'defaulted' | 'stale' | 'unsettled' | 'beyondRetention'>;
const WHOLE: Filled = { defaulted: [], stale: [] };

function isWhole(fill: Filled | undefined): boolean {
  if (fill === undefined) return true;
  const { defaulted, stale, unsettled, beyondRetention } = fill;
  return defaulted.length === 0 && stale.length === 0 && unsettled !== true && beyondRetention !== true;
}

function itemProblem(error: DomainError, caller: Principal | undefined): string {
  return JSON.stringify({
    type: `/docs/errors#${error.code}`,
    title: errorSpec(error.code).title,
    status: statusOf(error.code),
    code: error.code,
    detail: detailFor(error, caller),
    ...(error.faults === undefined || error.faults.length === 0 ? {} : { errors: error.faults }),
    ...(error.retryAfterSeconds === undefined ? {} : { retry_after: Math.ceil(error.retryAfterSeconds) }),
  });
}

/** All rows, or one error that lists what is wrong with every bad one. */
export function allAnswered(answers: readonly (RowAnswer | DomainError)[]): RowAnswer[] {
  const errors = answers.filter((answer) => answer instanceof DomainError);
  const [first] = errors;
  if (first === undefined) return answers as RowAnswer[];
  const faults = errors
    .flatMap((error) => (error.code === first.code ? (error.faults ?? []) : []))
    .slice(0, FAULTS_MAX);
  throw new DomainError(first.code, first.detail, {
    cause: first.cause,
    faults,
    ...(first.retryAfterSeconds === undefined ? {} : { retryAfterSeconds: first.retryAfterSeconds }),
  });
}

const FAULTS_MAX = 64;
