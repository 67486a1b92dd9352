/** Hot path. See docs/paths/predict.md. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { credentialOf, Gate } from '@sibyl/auth';
import { DomainError, type Clock, type IdSource } from '@sibyl/kernel';
import type { JsonText } from '@sibyl/protocol';
import type { PredictionService, Resolution } from '@sibyl/prediction';
import { acceptsJson, notAcceptable } from '../http/accept';
import { arrive } from '../http/arrival';
import { bodyCutOff, checkJsonType, readBody } from '../http/body';
import { decodeJson, parseWideJson, withoutMark } from '../http/json-text';
import type { HttpOptions } from '../http/http-options';
import { Exchange } from './exchange';
import { LONG_BYTES, type LongBodies } from './long-bodies';
import { NodeWire } from './node-wire';
import { allAnswered, batchAnswer, inferAnswer, RowReply, TensorReply } from './predict-answers';
import { PredictBatch } from './predict-batch';
import { objectAt, readBatchEnvelope, readEnvelope, readInferEnvelope, type PredictEnvelope } from './predict-envelope';
import { forgetPlain, readPlainEnvelope, type PlainEnvelope } from './plain-envelope';
import type { PredictOptions } from './predict-options';
import type { PredictReplies } from './predict-replies';
import { predictRoute, type PredictRoute } from './predict-routes';
import type { Wire } from './wire';

export interface PredictParts {
  readonly gate: Gate;
  readonly service: PredictionService;
  readonly replies: PredictReplies;
  readonly long: LongBodies;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly options: PredictOptions;
  readonly http: HttpOptions;
}

/**
 * The predict routes, from the head of a request to its answer, in front of the ordinary stack and through the same gate. A wire
 * calls `open` with the head, `receive` with the body and `hungUp` when nobody is there any more; none of them throws.
 */
export class PredictHandler {
  constructor(private readonly parts: PredictParts) {}

  /** Takes a request of `node:http` if it is a prediction; everything else, other methods too, is left to the ordinary stack. */
  take(request: IncomingMessage, response: ServerResponse): boolean {
    if (request.method !== 'POST') return false;
    const route = predictRoute(request.url ?? '/');
    if (route === undefined) return false;
    const announced = request.headers['content-length'];
    const exchange = this.open(new NodeWire(request, response), route, Number(announced ?? 0));
    response.on('close', () => {
      if (!response.writableEnded) this.hungUp(exchange);
    });
    if (exchange.decided) return true;
    const limits = { bytes: this.bodyLimit(route), timeoutMs: this.parts.http.bodyTimeoutMs };
    const growing = announced === undefined ? (bytes: number) => this.parts.long.hold(exchange, bytes) : undefined;
    readBody(request, limits, growing).then(
      (bytes) => this.receive(exchange, bytes),
      (error: unknown) => {
        if (request.destroyed) this.hungUp(exchange);
        this.fail(exchange, error);
      },
    );
    return true;
  }

  bodyLimit({ kind }: PredictRoute): number {
    const { options } = this.parts;
    return kind === 'model' || kind === 'infer' ? options.tensorBodyBytes : options.bodyBytes;
  }

  /** Begins an exchange: who asks, whether they may, what they want of the answer, and whether there is room for so long a body. */
  open(wire: Wire, route: PredictRoute, bodyBytes = 0): Exchange {
    const { clock, ids, gate, replies, options, long } = this.parts;
    const { headers, address } = wire;
    const context = arrive(headers, address, clock, ids);
    const exchange = new Exchange(wire, route, context, replies);
    try {
      context.route = route.pattern;
      context.action = 'prediction.create';
      context.principal = gate.authenticate(credentialOf(headers), address, wire.proof);
      gate.authorize(context.principal, 'predict', route.model);
      context.limitState = gate.admit(context.principal);
      replies.refuseWhenStopping();
      if (!acceptsJson(headers.accept)) throw notAcceptable();
      checkJsonType(wire);
      exchange.begin(options);
      replies.began(exchange);
      // Nothing is read of a body that is too long for the route.
      if (bodyBytes <= this.bodyLimit(route)) long.hold(exchange, bodyBytes);
    } catch (error) {
      replies.fail(exchange, error);
    }
    return exchange;
  }

  /** Goes on with the whole body. */
  receive(exchange: Exchange, bytes: Buffer): void {
    if (exchange.decided) return;
    try {
      exchange.context.predictionId = this.parts.ids.next();
      exchange.body = bytes;
      if (bytes.length > LONG_BYTES) {
        void this.receiveLong(exchange);
        return;
      }
      if (this.plain(exchange, bytes)) return;
      const body = parseWideJson(decodeJson(bytes, this.parts.http.jsonDepth));
      exchange.body = withoutMark(bytes);
      void this.handle(exchange, body);
    } catch (error) {
      this.fail(exchange, error);
    }
  }

  /** The same for a long body, in slices. It is not held here, so that it can be let go. */
  private async receiveLong(exchange: Exchange): Promise<void> {
    const { long, replies } = this.parts;
    try {
      await this.handle(exchange, await long.read(exchange, (body) => this.readLong(exchange, body)));
    } catch (error) {
      replies.fail(exchange, error);
    } finally {
      long.leave(exchange);
    }
  }

  /** Reads the nested arrays of a request for one row. */
  private async readLong(exchange: Exchange, body: unknown): Promise<void> {
    const { kind } = exchange.route;
    if (kind === 'batch' || kind === 'infer') return;
    const { envelope, resolution } = this.asked(exchange, body);
    const parts = { inputs: envelope.inputs, rows: [{ features: envelope.features, pointer: '/features' }] };
    await this.parts.service.readLong(resolution.served, parts, exchange.call);
  }

  private handle(exchange: Exchange, body: unknown): Promise<void> | undefined {
    const { kind } = exchange.route;
    if (kind === 'batch') return this.batch(exchange, body);
    if (kind === 'infer') return this.infer(exchange, body);
    this.single(exchange, body);
    return undefined;
  }

  /** The connection is gone: what still waits is dropped. */
  hungUp(exchange: Exchange): void {
    exchange.hangUp();
  }

  /** Ends an exchange whose body did not come as it should. */
  fail(exchange: Exchange, error: unknown): void {
    this.parts.long.leave(exchange);
    this.parts.replies.fail(exchange, error);
  }

  /** The body will not come to its end. */
  cutOff(exchange: Exchange): void {
    this.hungUp(exchange);
    this.fail(exchange, bodyCutOff());
  }

  /** A request for one row as nearly all are, from its bytes; false where the ordinary way shall take it, or say what is wrong. */
  private plain(exchange: Exchange, bytes: Uint8Array): boolean {
    const { route } = exchange;
    if (route.kind !== 'single' && route.kind !== 'model') return false;
    try {
      const envelope = readPlainEnvelope(bytes, { inputs: route.kind === 'model', depth: this.parts.http.jsonDepth });
      if (envelope === undefined) return false;
      if (this.submitPlain(exchange, envelope)) return true;
    } catch (error) {
      // Found again by the ordinary way, which finds faults in their proper order.
      if (!(error instanceof DomainError)) throw error;
    } finally {
      forgetPlain();
    }
    exchange.unresolved();
    return false;
  }

  private submitPlain(exchange: Exchange, { scanner, withInputs, query, model, version }: PlainEnvelope): boolean {
    const { service, options } = this.parts;
    const resolution = this.resolve(exchange, modelOf(exchange.route.model, model), version);
    exchange.resolved(resolution);
    const refusal = service.refusal(resolution.served, exchange.call);
    if (refusal !== undefined) {
      this.parts.replies.fail(exchange, refusal);
      return true;
    }
    exchange.rows = 1;
    const call = { scanner, query, call: exchange.call, rowsMax: options.rows };
    return withInputs
      ? service.submitPlainTensors(resolution.served, call, new TensorReply(exchange, this.parts))
      : service.submitPlainRow(resolution.served, call, new RowReply(exchange, this.parts));
  }

  private single(exchange: Exchange, body: unknown): void {
    const { service, options } = this.parts;
    const { call } = exchange;
    const { envelope, resolution } = this.asked(exchange, body);
    exchange.resolved(resolution);
    exchange.rows = 1;
    if (envelope.inputs !== undefined) {
      const tensors = { inputs: envelope.inputs, call, rowsMax: options.rows };
      service.submitTensors(resolution.served, tensors, new TensorReply(exchange, this.parts));
      return;
    }
    const row = { features: envelope.features, query: envelope.query, pointer: '/features' };
    service.submitRow(resolution.served, row, call, new RowReply(exchange, this.parts));
  }

  private asked(exchange: Exchange, body: unknown): { envelope: PredictEnvelope; resolution: Resolution } {
    const { route } = exchange;
    const envelope = readEnvelope(body, '', route.kind === 'model');
    const model = modelOf(route.model, envelope.model);
    return { envelope, resolution: this.resolve(exchange, model, envelope.version) };
  }

  private async batch(exchange: Exchange, body: unknown): Promise<void> {
    const { replies } = this.parts;
    try {
      replies.succeed(exchange, await this.batchText(exchange, body));
    } catch (error) {
      replies.fail(exchange, error);
    }
  }

  private async infer(exchange: Exchange, body: unknown): Promise<void> {
    const { replies } = this.parts;
    try {
      replies.succeed(exchange, await this.inferText(exchange, body));
    } catch (error) {
      replies.fail(exchange, error);
    }
  }

  private async batchText(exchange: Exchange, body: unknown): Promise<JsonText> {
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
    return batchAnswer(batch.items(info, exchange.context.principal), info?.infoJson ?? 'null', clock.now());
  }

  private async inferText(exchange: Exchange, body: unknown): Promise<JsonText> {
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
