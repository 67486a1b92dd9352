/** Hot path: reads of now, over HTTP. */
import type { FeastFacade, FeatureReads } from '@sibyl/features';
import { DomainError, TURNS, type Clock, type Pace } from '@sibyl/kernel';
import type { PayloadDigest } from '@sibyl/prediction';
import type { JsonText } from '@sibyl/protocol';
import { admit, begin, type AdmissionParts } from '../front/admission';
import { Exchange } from '../front/exchange';
import type { FrontHandler, FrontRoute } from '../front/front-handler';
import { hungUp, MULTI_STATUS } from '../front/replies';
import { pathOf } from '../front/target';
import type { Wire } from '../front/wire';
import { bodyCutOff } from '../http/body';
import type { HttpOptions } from '../http/http-options';
import { parseJson, withoutMark } from '../http/json-text';
import { parseLongJson } from '../http/long-json';
import { refuseQuery } from '../http/query.guard';
import { isPartial, onlineText } from './online-text';
import type { ReadAccount } from './read-account';
import { onlineOf, READ_DEPTH } from './read-body';

interface ReadRoute extends FrontRoute {
  readonly kind: 'online' | 'feast';
  /** Names in the query, which there should not be. */
  readonly query: readonly string[];
}

const KINDS: Readonly<Record<string, ReadRoute['kind']>> = {
  '/v1/features/online': 'online',
  '/get-online-features': 'feast',
};

/** Longer bodies are read in slices. */
const LONG_BYTES = 128 * 1024;
/** Of all of them. */
const LONG_BYTES_MAX = 64 * 1024 * 1024;
/** Longer than any deadline that a read may ask for. */
const READ_MS_MAX = 15_000;

/** One read on its way: all that is counted of it is counted of every request. */
class ReadExchange extends Exchange {
  /** Bytes with which its body counts among the long ones. */
  held = 0;

  constructor(
    readonly kind: ReadRoute['kind'],
    ...rest: ConstructorParameters<typeof Exchange>
  ) {
    super(...rest);
  }

  measured(): void {}
}

interface ReadParts extends AdmissionParts {
  readonly reads: FeatureReads;
  readonly feast: FeastFacade;
  readonly account: ReadAccount;
  readonly digest: PayloadDigest;
  readonly http: HttpOptions;
}

/** Reads of features of entities, from the head of a request to its answer. */
export class ReadHandler implements FrontHandler {
  /** Bytes of long bodies. */
  private held = 0;

  constructor(private readonly parts: ReadParts) {}

  route(target: string): ReadRoute | undefined {
    const path = pathOf(target);
    const pattern = path.endsWith('/') ? path.slice(0, -1) : path;
    const kind = KINDS[pattern];
    return kind && { pattern, kind, query: namesOf(target) };
  }

  bodyLimit(): number {
    return this.parts.http.bodyBytes;
  }

  open(wire: Wire, route: ReadRoute, bodyBytes = 0): Exchange {
    const { parts } = this;
    const exchange = new ReadExchange(route.kind, wire, route.pattern, begin(wire, parts), parts.replies);
    try {
      admit(exchange, { scope: 'features:read', action: 'feature.online' }, parts);
      refuseQuery(route.query);
      this.growing(exchange, bodyBytes);
      parts.replies.began(exchange);
    } catch (error) {
      this.fail(exchange, error);
    }
    return exchange;
  }

  /** Only so many bytes of long bodies are held at once. */
  growing(exchange: ReadExchange, bytes: number): void {
    if (bytes <= LONG_BYTES) return;
    const others = this.held - exchange.held;
    if (others > 0 && others + bytes > LONG_BYTES_MAX)
      throw new DomainError('queue_full', 'Too many large requests are being answered.', { retryAfterSeconds: 1 });
    this.held = others + bytes;
    exchange.held = bytes;
  }

  private leave(exchange: ReadExchange): void {
    this.held -= exchange.held;
    exchange.held = 0;
  }

  receive(exchange: ReadExchange, bytes: Buffer): void {
    if (!exchange.decided) void this.answer(exchange, bytes);
  }

  hungUp(exchange: ReadExchange): void {
    exchange.hangUp();
  }

  fail(exchange: ReadExchange, error: unknown): void {
    this.leave(exchange);
    this.parts.replies.fail(exchange, error);
  }

  cutOff(exchange: ReadExchange): void {
    this.hungUp(exchange);
    this.fail(exchange, bodyCutOff());
  }

  private async answer(exchange: ReadExchange, bytes: Buffer): Promise<void> {
    const { replies, http, digest } = this.parts;
    const pace = new ReadPace(exchange, this.parts.clock);
    try {
      const depth = Math.min(READ_DEPTH, http.jsonDepth);
      const long = bytes.length > LONG_BYTES;
      const body = long ? await parseLongJson(withoutMark(bytes), depth, pace) : parseJson(bytes, depth);
      const text = await this.textOf(exchange, body, pace);
      const inputs = long ? await digest.ofLong([bytes], pace) : digest.of(bytes);
      if (exchange.closed) throw hungUp();
      replies.conclude(exchange, text, { inputs, outputs: undefined });
    } catch (error) {
      replies.fail(exchange, error);
    } finally {
      this.leave(exchange);
    }
  }

  private async textOf(exchange: ReadExchange, body: unknown, pace: Pace): Promise<JsonText> {
    const { reads, feast, clock, account } = this.parts;
    const { context } = exchange;
    if (exchange.kind === 'feast') return feast.online(body, { pace, onAnswer: (read) => account.note(context, read) });
    const asked = onlineOf(body);
    const begun = clock.monotonic();
    const answer = await reads.read({ ...asked, pace });
    account.note(context, answer);
    if (prefersMulti(exchange.wire.headers.prefer) && isPartial(answer)) exchange.status = MULTI_STATUS;
    return onlineText(asked, answer, { begun, clock, pace });
  }
}

/**
 * Of work that is not done at once: not for a caller who is gone, and not for ever. A class: an object literal with a getter has a
 * hidden class of its own each time, which holds its request, answer and all, until a full collection.
 */
class ReadPace implements Pace {
  private readonly endsAt: number;

  constructor(
    private readonly exchange: ReadExchange,
    private readonly clock: Clock,
  ) {
    this.endsAt = exchange.context.startedAt + READ_MS_MAX;
  }

  get due(): boolean {
    return TURNS.due;
  }

  async next(): Promise<void> {
    await TURNS.next();
    if (this.exchange.closed) throw hungUp();
    if (this.clock.monotonic() > this.endsAt)
      throw new DomainError('deadline_exceeded', `The read took longer than ${READ_MS_MAX} ms.`);
  }
}

/** `Prefer: status=multi`, alone or among other preferences (RFC 7240). */
function prefersMulti(prefer: string | string[] | undefined): boolean {
  return prefer !== undefined && MULTI.test(String(prefer));
}

const MULTI = /(?:^|,)\s*status\s*=\s*(?:multi|"multi")\s*(?:;|,|$)/i;

/** Of the parameters of a query: there should be none. */
function namesOf(target: string): readonly string[] {
  const [, query = ''] = /\?([^#]*)/.exec(target) ?? [];
  return [...new URLSearchParams(query).keys()];
}
