/** Hot path: reads of now, over HTTP. */
import type { FeastFacade, FeatureReads } from '@sibyl/features';
import { admit, begin, type AdmissionParts } from '../front/admission';
import { Exchange } from '../front/exchange';
import type { FrontHandler, FrontRoute } from '../front/front-handler';
import { hungUp } from '../front/replies';
import { pathOf } from '../front/target';
import type { Wire } from '../front/wire';
import { bodyCutOff } from '../http/body';
import type { HttpOptions } from '../http/http-options';
import { parseJson } from '../http/json-text';
import { refuseQuery } from '../http/query.guard';
import { onlineText } from './online-text';
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

/** One read on its way: all that is counted of it is counted of every request. */
class ReadExchange extends Exchange {
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
  readonly http: HttpOptions;
}

/** Reads of features of entities, from the head of a request to its answer. */
export class ReadHandler implements FrontHandler {
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

  open(wire: Wire, route: ReadRoute): Exchange {
    const { parts } = this;
    const exchange = new ReadExchange(route.kind, wire, route.pattern, begin(wire, parts), parts.replies);
    try {
      admit(exchange, { scope: 'features:read', action: 'feature.online' }, parts);
      refuseQuery(route.query);
      parts.replies.began(exchange);
    } catch (error) {
      parts.replies.fail(exchange, error);
    }
    return exchange;
  }

  /** All bodies of these routes are read whole. */
  growing(): void {}

  receive(exchange: ReadExchange, bytes: Buffer): void {
    if (!exchange.decided) void this.answer(exchange, bytes);
  }

  hungUp(exchange: ReadExchange): void {
    exchange.hangUp();
  }

  fail(exchange: ReadExchange, error: unknown): void {
    this.parts.replies.fail(exchange, error);
  }

  cutOff(exchange: ReadExchange): void {
    this.hungUp(exchange);
    this.fail(exchange, bodyCutOff());
  }

  private async answer(exchange: ReadExchange, bytes: Buffer): Promise<void> {
    const { replies, http } = this.parts;
    try {
      const body = parseJson(bytes, Math.min(READ_DEPTH, http.jsonDepth));
      const text = await this.textOf(exchange, body);
      if (exchange.closed) throw hungUp();
      replies.conclude(exchange, text);
    } catch (error) {
      replies.fail(exchange, error);
    }
  }

  private async textOf(exchange: ReadExchange, body: unknown): Promise<string> {
    const { reads, feast, clock } = this.parts;
    if (exchange.kind === 'feast') return feast.online(body);
    const asked = onlineOf(body);
    const begun = clock.monotonic();
    const answer = await reads.read(asked);
    return onlineText(asked, answer, clock.monotonic() - begun);
  }
}

/** Of the parameters of a query: there should be none. */
function namesOf(target: string): readonly string[] {
  const [, query = ''] = /\?([^#]*)/.exec(target) ?? [];
  return [...new URLSearchParams(query).keys()];
}
