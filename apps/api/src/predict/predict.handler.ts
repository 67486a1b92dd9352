/** Hot path. See docs/paths/predict.md. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { credentialOf, Gate } from '@sibyl/auth';
import { DomainError, type Clock, type IdSource } from '@sibyl/kernel';
import type { PredictionService, Resolution, RowAnswer } from '@sibyl/prediction';
import { acceptsJson, notAcceptable } from '../http/accept';
import { arrive } from '../http/arrival';
import { checkJsonType } from '../http/body';
import { decodeJson, parseJsonText } from '../http/json-text';
import type { HttpOptions } from '../http/http-options';
import { BodyReads } from './body-reads';
import { Exchange } from './exchange';
import { batchAnswer, inferAnswer, singleAnswer, tensorAnswer } from './predict-answers';
import { PredictBatch } from './predict-batch';
import { objectAt, readBatchEnvelope, readEnvelope, readInferEnvelope } from './predict-envelope';
import type { PredictOptions } from './predict-options';
import type { PredictReplies } from './predict-replies';
import { predictRoute, type PredictRoute } from './predict-routes';

export interface PredictParts {
  readonly gate: Gate;
  readonly service: PredictionService;
  readonly replies: PredictReplies;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly options: PredictOptions;
  readonly http: HttpOptions;
}

/** The predict routes, from the first byte to the last, in front of the ordinary stack and through the same gate. */
export class PredictHandler {
  private readonly bodies: BodyReads;

  constructor(private readonly parts: PredictParts) {
    this.bodies = new BodyReads(parts.clock, parts.http.bodyTimeoutMs);
  }

  /** Takes the request if it is a prediction; everything else, other methods too, is left to the ordinary stack. */
  take(request: IncomingMessage, response: ServerResponse): boolean {
    if (request.method !== 'POST') return false;
    const route = predictRoute(request.url ?? '/');
    if (route === undefined) return false;
    void this.serve(request, response, route);
    return true;
  }

  /** Answers one request and never throws: whatever goes wrong is answered and recorded. */
  async serve(request: IncomingMessage, response: ServerResponse, route: PredictRoute): Promise<void> {
    const { clock, ids, replies } = this.parts;
    const exchange = new Exchange(request, response, route, arrive(request, clock, ids));
    try {
      this.admit(exchange);
      const bytes = await this.bodies.read(exchange, this.bodyLimit(route));
      await replies.succeed(exchange, await this.answer(exchange, bytes));
    } catch (error) {
      await replies.fail(exchange, error);
    }
  }

  private admit(exchange: Exchange): void {
    const { request, context } = exchange;
    const { gate, replies } = this.parts;
    context.route = exchange.route.pattern;
    context.action = 'prediction.create';
    context.principal = gate.authenticate(credentialOf(request.headers), context.ip);
    gate.authorize(context.principal, 'predict', exchange.route.model);
    context.limitState = gate.admit(context.principal);
    replies.refuseWhenStopping();
    if (!acceptsJson(request.headers.accept)) throw notAcceptable();
    checkJsonType(request);
    exchange.begin(this.parts.options);
    replies.began(exchange);
  }

  private bodyLimit({ kind }: PredictRoute): number {
    const { options } = this.parts;
    return kind === 'model' || kind === 'infer' ? options.tensorBodyBytes : options.bodyBytes;
  }

  /** Not async, and may throw: each layer of promises costs a request a microsecond. */
  private answer(exchange: Exchange, bytes: Buffer): Promise<string> {
    const { kind } = exchange.route;
    const { options, http } = this.parts;
    const text = decodeJson(bytes, http.jsonDepth);
    const body = parseJsonText(text);
    exchange.rawText = text;
    exchange.keepsRequest = bytes.length <= options.recordedBytes;
    exchange.context.predictionId = this.parts.ids.next();
    if (kind === 'batch') return this.batch(exchange, body);
    if (kind === 'infer') return this.infer(exchange, body);
    return this.single(exchange, body);
  }

  private async single(exchange: Exchange, body: unknown): Promise<string> {
    const { service, clock, options } = this.parts;
    const { route, context, call } = exchange;
    const envelope = readEnvelope(body, '', route.kind === 'model');
    const model = modelOf(route.model, envelope.model);
    const resolution = this.resolve(exchange, model, envelope.version);
    exchange.resolved(resolution);
    exchange.rows = 1;
    const id = context.predictionId ?? '';
    if (envelope.inputs !== undefined) {
      const answer = await service.predictTensors(resolution.served, envelope.inputs, call, options.rows);
      if (answer.prediction) this.parts.replies.count(resolution.served, answer.prediction);
      return tensorAnswer(id, resolution.served, answer, clock.now());
    }
    const row = { features: envelope.features, query: envelope.query, pointer: '/features' };
    const answer = await service.predictRow(resolution.served, row, call);
    this.parts.replies.count(resolution.served, answer);
    return singleAnswer(id, resolution.served, answer, clock.now());
  }

  private async batch(exchange: Exchange, body: unknown): Promise<string> {
    const { service, options, clock, replies } = this.parts;
    const envelope = readBatchEnvelope(body, options.batchRequests);
    // A batch whose own model is wrong fails whole; an item that names a wrong model fails alone.
    const own = envelope.model !== undefined || PredictBatch.needsDefault(envelope);
    const main = own ? this.resolve(exchange, envelope.model, envelope.version) : undefined;
    const batch = new PredictBatch(service, (model, version) =>
      main && model === envelope.model && version === envelope.version ? main : this.resolve(exchange, model, version),
    );
    if (main) exchange.resolved(main);
    batch.read(envelope);
    await batch.predict(exchange.call);
    for (const { served, answer } of batch.succeeded) replies.count(served, answer);
    for (const served of batch.failed) replies.countFailedItem(served);
    exchange.rows = batch.succeeded.length;
    const info = main?.served ?? batch.first();
    return batchAnswer(batch.items(info), info?.infoJson ?? 'null', clock.now());
  }

  private async infer(exchange: Exchange, body: unknown): Promise<string> {
    const { service, options, clock, replies } = this.parts;
    const { context, call } = exchange;
    const envelope = readInferEnvelope(body, options.rows);
    const resolution = this.resolve(exchange, envelope.model, envelope.version);
    exchange.resolved(resolution);
    exchange.rows = envelope.rows.length;
    const rows = envelope.rows.map((row, i) => ({
      features: objectAt(row, `/inputs/${i}`),
      query: {},
      pointer: `/inputs/${i}`,
    }));
    const answers = await service.predictRows(resolution.served, rows, call);
    const answered = allAnswered(answers);
    for (const answer of answered) replies.count(resolution.served, answer);
    const latencyMs = clock.monotonic() - context.startedAt;
    return inferAnswer({
      id: context.predictionId ?? '',
      served: resolution.served,
      rows: answered,
      requestId: context.requestId,
      latencyMs,
    });
  }

  private resolve(exchange: Exchange, model: string | undefined, version: string | undefined): Resolution {
    const name = model ?? this.parts.options.defaultModel;
    if (name === undefined) {
      throw new DomainError('input_missing', "Name a model in 'model': this server has no default model.", {
        faults: [{ pointer: '/model', expected: 'the name of a model', received: 'nothing' }],
      });
    }
    const { principal } = exchange.context;
    if (principal) this.parts.gate.authorize(principal, 'predict', name);
    return this.parts.service.resolve(name, version);
  }
}

function modelOf(inPath: string | undefined, inBody: string | undefined): string | undefined {
  if (inPath !== undefined && inBody !== undefined && inBody !== inPath) {
    throw new DomainError('invalid_parameter', 'The body names another model than the path.', {
      faults: [{ pointer: '/model', expected: 'the model of the path, or nothing' }],
    });
  }
  return inPath ?? inBody;
}

/** All rows, or one error that lists what is wrong with every bad one. */
function allAnswered(answers: readonly (RowAnswer | DomainError)[]): RowAnswer[] {
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
