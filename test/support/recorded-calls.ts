import type { TestServer } from './server.mjs';

/** An answer to a request that was sent under an id of its own. */
export interface RecordedAnswer {
  readonly requestId: string;
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** Parsed where the answer is JSON. */
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  readonly body: any;
}

export interface CallOptions {
  /** Defaults to the admin key; null sends none. */
  readonly key?: string | null;
  readonly headers?: Readonly<Record<string, string>>;
  /** Strings and bytes are sent as they are, anything else as JSON. */
  readonly body?: unknown;
  /** How many events the request must leave: none for public routes. */
  readonly events?: 0 | 1;
}

/** An event as `GET /v1/audit/events` lists it. */
export interface ListedEvent {
  readonly id: string;
  readonly recorded_at: string;
  readonly request_id: string;
  readonly action: string;
  readonly outcome: string;
  readonly status: number;
  readonly actor: { readonly type: string; readonly id: string; readonly key_id?: string; readonly name: string };
  readonly reason?: string;
  readonly count?: number;
  readonly chain: string;
  readonly seq: number;
  readonly [other: string]: unknown;
}

const INSIDE = /(\/[\w.-]+){2,}\.(js|ts|onnx)\b|node_modules|\bat \S+ \(|\bSELECT |onnxruntime_src|\bpg_|\/tmp\//;
const PROBLEM_MEMBERS = ['type', 'title', 'status', 'code', 'detail', 'instance', 'request_id'];

/**
 * Sends requests under ids of their own, holds every refusal against the shape of errors, and compares in the end what was
 * sent with what was recorded.
 */
export class RecordedCalls {
  readonly sent = new Map<string, { readonly what: string; readonly events: 0 | 1; readonly status: number }>();
  private count = 0;

  constructor(
    private readonly server: () => TestServer,
    private readonly prefix: string,
  ) {}

  /** An id that no other request has. */
  nextId(): string {
    return `${this.prefix}-${++this.count}`;
  }

  async call(
    method: string,
    path: string,
    { key, headers = {}, body, events = 1 }: CallOptions = {},
  ): Promise<RecordedAnswer> {
    const server = this.server();
    const requestId = headers['X-Request-Id'] ?? this.nextId();
    const credential = key === undefined ? server.adminKey : key;
    const answer = await fetch(server.url + path, {
      method,
      headers: {
        'X-Request-Id': requestId,
        ...(credential === null ? {} : { 'X-API-Key': credential }),
        ...(body === undefined || body instanceof FormData ? {} : { 'Content-Type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: bodyOf(body) }),
      signal: AbortSignal.timeout(25_000),
    });
    const text = await answer.text();
    const { status } = answer;
    this.sent.set(answer.headers.get('x-request-id') ?? requestId, {
      what: `${method} ${path} → ${status}`,
      events,
      status,
    });
    const recorded = { requestId, status, headers: answer.headers, text, body: parsed(answer.headers, text) };
    if (status >= 400 && method !== 'HEAD') checkProblem(`${method} ${path}`, recorded);
    return recorded;
  }

  post(path: string, body: unknown, options: CallOptions = {}): Promise<RecordedAnswer> {
    return this.call('POST', path, { ...options, body });
  }

  get(path: string, options: CallOptions = {}): Promise<RecordedAnswer> {
    return this.call('GET', path, options);
  }

  /** Every recorded event, oldest first. */
  async events(filter = ''): Promise<ListedEvent[]> {
    const found: ListedEvent[] = [];
    let cursor: string | undefined;
    do {
      const next: string = cursor === undefined ? '' : `&cursor=${encodeURIComponent(cursor)}`;
      const { body } = await this.server().call<{ items: ListedEvent[]; next?: string }>(
        'GET',
        `/v1/audit/events?order=asc&limit=1000${filter}${next}`,
      );
      found.push(...body.items);
      cursor = body.next;
    } while (cursor !== undefined);
    return found;
  }

  /** Requests whose events are not what was expected: too few, too many, or with another status. */
  async wrongEvents(): Promise<string[]> {
    const byRequest = new Map<string, ListedEvent[]>();
    for (const event of await this.events())
      byRequest.set(event.request_id, [...(byRequest.get(event.request_id) ?? []), event]);
    return [...this.sent].flatMap(([id, { what, events, status }]) => {
      const found = byRequest.get(id) ?? [];
      if (found.length !== events) return [`${what}: ${found.length} events`];
      return found.every((event) => event.status === status && event.outcome === outcomeOf(status))
        ? []
        : [`${what}: ${JSON.stringify(found)}`];
    });
  }
}

/** Throws where an error is not the problem document that every caller may rely on, or tells something of the inside. */
export function checkProblem(
  what: string,
  answer: Pick<RecordedAnswer, 'status' | 'text'> & { readonly contentType?: string; readonly headers?: Headers },
): void {
  const type = answer.contentType ?? answer.headers?.get('content-type') ?? '';
  const fail = (reason: string): never => {
    throw new Error(`${what} was answered ${answer.status}, ${reason}: ${answer.text.slice(0, 500)}`);
  };
  if (!type.startsWith('application/problem+json')) fail(`which is ${type} and not a problem document`);
  const problem = JSON.parse(answer.text) as Record<string, unknown>;
  const missing = PROBLEM_MEMBERS.filter((name) => typeof problem[name] !== (name === 'status' ? 'number' : 'string'));
  if (missing.length > 0) fail(`without ${missing.join(', ')}`);
  if (problem['status'] !== answer.status || problem['type'] !== `/docs/errors#${String(problem['code'])}`)
    fail('which contradicts itself');
  // Where the request went and where the error is explained are paths by nature.
  if (INSIDE.test(JSON.stringify({ ...problem, instance: '', type: '' }))) fail('and it tells something of the inside');
  if (answer.status >= 500 && problem['code'] === 'internal_error') fail('a fault of the server');
}

function parsed(headers: Headers, text: string): unknown {
  return /\bjson\b/.test(headers.get('content-type') ?? '') && text !== '' ? JSON.parse(text) : text;
}

function bodyOf(body: unknown): string | Uint8Array<ArrayBuffer> | FormData {
  if (typeof body === 'string' || body instanceof FormData) return body;
  return body instanceof Uint8Array ? new Uint8Array(body) : JSON.stringify(body);
}

function outcomeOf(status: number): string {
  if (status < 400) return 'succeeded';
  return [401, 403, 429].includes(status) ? 'denied' : 'failed';
}
