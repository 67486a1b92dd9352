/** Hot path. See docs/paths/predict.md. */
import { DomainError } from '@sibyl/kernel';
import type { JsonText } from '@sibyl/protocol';
import type { Resolution } from '@sibyl/prediction';
import { admit, begin } from '../front/admission';
import type { FrontHandler } from '../front/front-handler';
import type { Wire } from '../front/wire';
import { bodyCutOff } from '../http/body';
import { decodeJson, parseWideJson, withoutMark } from '../http/json-text';
import { PredictExchange } from './predict-exchange';
import { LONG_BYTES } from './long-bodies';
import { allAnswered, batchAnswer, inferAnswer, RowReply, TensorReply } from './predict-answers';
import { PredictBatch } from './predict-batch';
import {
  modelOf,
  NO_FEATURES,
  objectAt,
  readBatchEnvelope,
  readEnvelope,
  readInferEnvelope,
  type PredictEnvelope,
} from './predict-envelope';
import { forgetPlain, readPlainEnvelope, type PlainEnvelope } from './plain-envelope';
import { orFail, type PredictParts } from './predict-parts';
import { predictRoute, type PredictRoute } from './predict-routes';

/** The predict routes, from the head of a request to its answer. */
export class PredictHandler implements FrontHandler {
  constructor(private readonly parts: PredictParts) {}

  route(target: string): PredictRoute | undefined {
    return predictRoute(target);
  }

  bodyLimit({ kind }: PredictRoute): number {
    const { options } = this.parts;
    return kind === 'model' || kind === 'infer' ? options.tensorBodyBytes : options.bodyBytes;
  }

  /** Begins an exchange: who asks, whether they may, what they want of the answer, and whether there is room for so long a body. */
  open(wire: Wire, route: PredictRoute, bodyBytes = 0): PredictExchange {
    const { replies, options, long } = this.parts;
    const context = begin(wire, this.parts);
    const exchange = new PredictExchange(wire, route, context, replies);
    try {
      admit(exchange, { scope: 'predict', action: 'prediction.create', model: route.model }, this.parts);
      exchange.begin(options);
      replies.began(exchange);
      // Nothing is read of a body that is too long for the route.
      if (bodyBytes <= this.bodyLimit(route)) long.hold(exchange, bodyBytes);
    } catch (error) {
      replies.fail(exchange, error);
    }
    return exchange;
  }

  growing(exchange: PredictExchange, bytes: number): void {
    this.parts.long.hold(exchange, bytes);
  }

  receive(exchange: PredictExchange, bytes: Buffer): void {
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
  private async receiveLong(exchange: PredictExchange): Promise<void> {
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
  private async readLong(exchange: PredictExchange, body: unknown): Promise<void> {
    const { kind } = exchange.route;
    if (kind === 'batch' || kind === 'infer') return;
    const { envelope, resolution } = this.asked(exchange, body);
    const parts = { inputs: envelope.inputs, rows: [{ features: envelope.features, pointer: '/features' }] };
    await this.parts.service.readLong(resolution.served, parts, exchange.call);
  }

  private handle(exchange: PredictExchange, body: unknown): Promise<void> | undefined {
    const { kind } = exchange.route;
    if (kind === 'batch') return this.batch(exchange, body);
    if (kind === 'infer') return this.infer(exchange, body);
    this.single(exchange, body);
    return undefined;
  }

  hungUp(exchange: PredictExchange): void {
    exchange.hangUp();
  }

  fail(exchange: PredictExchange, error: unknown): void {
    this.parts.long.leave(exchange);
    this.parts.replies.fail(exchange, error);
  }

  cutOff(exchange: PredictExchange): void {
    this.hungUp(exchange);
    this.fail(exchange, bodyCutOff());
  }

  /** A request for one row as nearly all are, from its bytes; false where the ordinary way shall take it, or say what is wrong. */
  private plain(exchange: PredictExchange, bytes: Uint8Array): boolean {
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

  private submitPlain(
    exchange: PredictExchange,
    { scanner, withInputs, query, model, version }: PlainEnvelope,
  ): boolean {
    const { service, options } = this.parts;
    const resolution = this.resolve(exchange, modelOf(exchange.route.model, model), version);
    exchange.resolved(resolution);
    const refusal = service.refusal(resolution.served, exchange.call);
    if (refusal !== undefined) {
      this.parts.replies.fail(exchange, refusal);
      return true;
    }
    exchange.rows = 1;
    if (scanner === undefined) {
      // Nothing else can be wrong with it: it need not be read again.
      const row = { features: NO_FEATURES, query, pointer: '/features' };
      orFail(exchange, this.parts, () =>
        service.submitRow(resolution.served, row, exchange.call, new RowReply(exchange, this.parts)),
      );
      return true;
    }
    const call = { scanner, query, call: exchange.call, rowsMax: options.rows };
    return withInputs
      ? service.submitPlainTensors(resolution.served, call, new TensorReply(exchange, this.parts))
      : service.submitPlainRow(resolution.served, call, new RowReply(exchange, this.parts));
  }

  private single(exchange: PredictExchange, body: unknown): void {
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

  private asked(exchange: PredictExchange, body: unknown): { envelope: PredictEnvelope; resolution: Resolution } {
    const { route } = exchange;
    const envelope = readEnvelope(body, '', route.kind === 'model');
    const model = modelOf(route.model, envelope.model);
    return { envelope, resolution: this.resolve(exchange, model, envelope.version) };
  }

  private async batch(exchange: PredictExchange, body: unknown): Promise<void> {
    const { replies } = this.parts;
    try {
      replies.succeed(exchange, await this.batchText(exchange, body));
    } catch (error) {
      replies.fail(exchange, error);
    }
  }

  private async infer(exchange: PredictExchange, body: unknown): Promise<void> {
    const { replies } = this.parts;
    try {
      replies.succeed(exchange, await this.inferText(exchange, body));
    } catch (error) {
      replies.fail(exchange, error);
    }
  }

  private async batchText(exchange: PredictExchange, body: unknown): Promise<JsonText> {
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
    exchange.madeFrom(batch.answered);
    const info = main?.served ?? batch.first();
    return batchAnswer(batch.items(info, exchange.context.principal), info?.infoJson ?? 'null', clock.now());
  }

  private async inferText(exchange: PredictExchange, body: unknown): Promise<JsonText> {
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
    exchange.madeFrom(answered);
    const latencyMs = clock.monotonic() - context.startedAt;
    return inferAnswer({
      id: context.predictionId ?? '',
      served: resolution.served,
      rows: answered,
      requestId: context.requestId,
      latencyMs,
    });
  }

  private resolve(exchange: PredictExchange, model: string | undefined, version: string | undefined): Resolution {
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
