import http from 'node:http';
import https from 'node:https';
import { DomainError } from '@sibyl/kernel';
import { plainHost } from './host-rules';
import type { OutgoingGuard } from './outgoing-guard';

export interface OutgoingRequest {
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

/** Sent with what lies at or below a URL, and with nothing else: others may have another path of the same host. */
export interface Credentials {
  readonly base: URL;
  readonly headers: Readonly<Record<string, string>>;
}

/** An answer with its body still to be read. */
export interface OutgoingAnswer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: http.IncomingMessage;
}

const REDIRECTS = 5;
const REDIRECT_STATUSES: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
/** From the first packet to the head of the answer; the bodies of files have limits of their own. */
const HEAD_MS = 30_000;
const UPWARDS = /(?:\/|%2f|%5c)(?:\.|%2e){2}(?:\/|%2f|%5c|$)/i;
/** Connections to one host that wait for their next request. */
const SOCKETS = 2;

/**
 * GET, and nothing else, by the rules of the guard. Redirects are followed a few times, each checked as if it had been asked for;
 * headers with credentials go to the place they are for and no further, nor to what that place redirects to elsewhere.
 */
export class OutgoingHttp {
  private readonly agents: { readonly http: http.Agent; readonly https: https.Agent };

  constructor(
    private readonly guard: OutgoingGuard,
    private readonly credentials?: Credentials,
  ) {
    const options = { keepAlive: true, maxSockets: SOCKETS, lookup: guard.lookup };
    this.agents = { http: new http.Agent(options), https: new https.Agent(options) };
  }

  async get(target: URL, request: OutgoingRequest): Promise<OutgoingAnswer> {
    let url = target;
    for (let redirects = 0; ; redirects++) {
      this.guard.check(url);
      const answer = await this.send(url, request);
      const { location } = answer.headers;
      if (!REDIRECT_STATUSES.has(answer.status) || location === undefined) return answer;
      answer.body.destroy();
      if (redirects >= REDIRECTS) throw unavailable(url, 'redirects without end');
      url = redirected(url, location);
    }
  }

  /** A small answer whole; `limit` bytes are the most that are read of it. */
  async getBytes(target: URL, request: OutgoingRequest, limit: number): Promise<OutgoingAnswer & { bytes: Buffer }> {
    const signal = AbortSignal.any([request.signal, AbortSignal.timeout(HEAD_MS)]);
    const answer = await this.get(target, { ...request, signal });
    const chunks: Buffer[] = [];
    let length = 0;
    try {
      for await (const chunk of answer.body) {
        chunks.push(chunk as Buffer);
        length += (chunk as Buffer).length;
        if (length > limit) throw unavailable(target, `an answer of more than ${limit} bytes`);
      }
    } catch (error) {
      request.signal.throwIfAborted();
      throw asUnavailable(target, error);
    } finally {
      answer.body.destroy();
    }
    return { ...answer, bytes: Buffer.concat(chunks) };
  }

  close(): void {
    this.agents.http.destroy();
    this.agents.https.destroy();
  }

  private send(url: URL, { headers, signal }: OutgoingRequest): Promise<OutgoingAnswer> {
    const own = this.credentials && isBelow(url, this.credentials.base) ? this.credentials.headers : {};
    const secure = url.protocol === 'https:';
    const options = {
      // Without the dot at its end the name is the one that was checked.
      host: plainHost(url),
      port: url.port,
      path: `${url.pathname}${url.search}`,
      agent: secure ? this.agents.https : this.agents.http,
      headers: {
        Host: url.host,
        'User-Agent': 'sibyl',
        'Accept-Encoding': 'identity',
        Accept: '*/*',
        ...headers,
        ...own,
      },
      signal,
    };
    return new Promise((resolve, reject) => {
      const request = (secure ? https : http).request(options);
      const late = setTimeout(() => request.destroy(new Error('no answer in time')), HEAD_MS);
      request.once('response', (body) => {
        clearTimeout(late);
        resolve({ status: body.statusCode ?? 0, headers: body.headers, body });
      });
      // It stays: what breaks later is told by the body, and must not end the process here.
      request.on('error', (error) => {
        clearTimeout(late);
        reject(signal.aborted ? (signal.reason as Error) : asUnavailable(url, error));
      });
      request.end();
    });
  }
}

/** The URL class has resolved what leads upwards, but for slashes that a server might decode. */
function isBelow({ origin, pathname }: URL, base: URL): boolean {
  const folder = base.pathname.replace(/\/*$/, '/');
  return origin === base.origin && `${pathname}/`.startsWith(folder) && !UPWARDS.test(pathname);
}

function redirected(from: URL, location: string): URL {
  if (!URL.canParse(location, from.href)) throw unavailable(from, 'a redirect to nowhere');
  const to = new URL(location, from);
  if (from.protocol === 'https:' && to.protocol === 'http:') throw unavailable(from, 'a redirect from https: to http:');
  return to;
}

/** A refusal of the guard stays what it is; everything else that can break on the way is the place's. */
function asUnavailable(url: URL, error: unknown): DomainError {
  return error instanceof DomainError ? error : unavailable(url, 'no whole answer', error);
}

export function unavailable(url: URL, received: string, cause?: unknown): DomainError {
  return new DomainError('source_unavailable', `'${url.host}' gave ${received}.`, { cause, retryAfterSeconds: 10 });
}
