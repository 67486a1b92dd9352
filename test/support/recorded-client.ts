import type { TestServer } from './server.mjs';
import { MULTIPART, multipart, partsOf, type PackageFiles, type Part } from './model-packages';

export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  /** Parsed where the answer is JSON. */
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  readonly body: any;
}

export interface AuditEvent {
  readonly id: string;
  readonly action: string;
  readonly outcome: string;
  readonly status: number;
  readonly request_id: string;
  readonly prediction_id: string;
  readonly reason?: string;
}

export interface Request {
  /** Defaults to the admin key; null sends none. */
  readonly key?: string | null;
  readonly headers?: Record<string, string>;
  readonly body?: unknown;
  readonly timeoutMs?: number;
}

/** A client whose every request has an id of its own, so that a test can ask for the event of each. */
export class RecordedClient {
  /** Requests to private routes: id → what it was and the status of its answer. */
  readonly sent = new Map<string, { readonly what: string; readonly status: number }>();
  private requests = 0;

  constructor(
    private readonly server: TestServer,
    private readonly name: string,
  ) {}

  async call(method: string, route: string, request: Request = {}): Promise<Reply> {
    const { key = this.server.adminKey, headers = {}, body, timeoutMs = 60_000 } = request;
    const id = `${this.name}-${++this.requests}`;
    const raw = body === undefined || typeof body === 'string' || Buffer.isBuffer(body);
    const answer = await fetch(this.server.url + route, {
      method,
      headers: {
        ...(key === null ? {} : { 'x-api-key': key }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        'x-request-id': id,
        ...headers,
      },
      ...(body === undefined ? {} : { body: (raw ? body : JSON.stringify(body)) as RequestInit['body'] & string }),
      signal: AbortSignal.timeout(timeoutMs),
    });
    const text = await answer.text();
    const isJson = /\bjson\b/.test(answer.headers.get('content-type') ?? '') && text !== '';
    const reply = { status: answer.status, headers: answer.headers, body: isJson ? JSON.parse(text) : text };
    this.sent.set(id, { what: `${method} ${route}`, status: reply.status });
    return reply;
  }

  get(route: string, request: Request = {}): Promise<Reply> {
    return this.call('GET', route, request);
  }

  post(route: string, body: unknown, request: Request = {}): Promise<Reply> {
    return this.call('POST', route, { ...request, body });
  }

  /** Uploads a package as a new version of `model`. */
  upload(
    model: string,
    files: PackageFiles,
    fields: Record<string, string> = {},
    request: Request = {},
  ): Promise<Reply> {
    return this.uploadParts(model, partsOf(files, fields), request);
  }

  uploadParts(model: string, parts: Iterable<Part>, request: Request = {}): Promise<Reply> {
    const headers = { 'content-type': MULTIPART, ...request.headers };
    return this.call('POST', `/v1/models/${model}/versions`, { ...request, headers, body: multipart(parts) });
  }

  /** Points an alias at a version, whatever it points at now. */
  async promote(model: string, alias: string, version: string, reason = 'a test'): Promise<Reply> {
    const route = `/v1/models/${model}/aliases/${alias}`;
    const present = await this.get(route);
    const condition =
      present.status === 200 ? { 'if-match': present.headers.get('etag') ?? '' } : { 'if-none-match': '*' };
    return this.call('PUT', route, { headers: condition, body: { version, reason } });
  }

  /** Waits until an operation has ended, and answers it. */
  async ended(location: string): Promise<Reply> {
    for (;;) {
      const reply = await this.get(location);
      if (reply.status !== 200 || reply.body.status !== 'running') return reply;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** All events that match, oldest first. */
  async events(filter = ''): Promise<AuditEvent[]> {
    const found: AuditEvent[] = [];
    for (let cursor: string | undefined; ;) {
      const page = cursor === undefined ? '' : `&cursor=${encodeURIComponent(cursor)}`;
      const { status, body } = await this.get(`/v1/audit/events?order=asc&limit=1000${filter && `&${filter}`}${page}`);
      if (status !== 200) throw new Error(`the audit log answered ${status}: ${JSON.stringify(body)}`);
      found.push(...body.items);
      if (body.next === undefined) return found;
      cursor = body.next;
    }
  }

  /** The event of the request that was sent last. */
  async lastEvent(): Promise<AuditEvent> {
    const [event] = await this.events(`request_id=${[...this.sent.keys()].at(-1)}`);
    if (event === undefined) throw new Error('the last request has no event');
    return event;
  }

  /** Requests that do not have exactly one event, or whose event has another status than the answer: none, when all is well. */
  async unrecorded(): Promise<string[]> {
    const sent = [...this.sent].filter(([, { what }]) => !isPublic(what));
    const events = await this.events();
    const statuses = new Map<string, number[]>();
    for (const { request_id: id, status } of events) statuses.set(id, [...(statuses.get(id) ?? []), status]);
    return sent
      .filter(([id, { status }]) => String(statuses.get(id)) !== String([status]))
      .map(
        ([id, { what, status }]) => `${id} ${what} ${status}: events with ${statuses.get(id)?.join(', ') ?? 'none'}`,
      );
  }
}

const PUBLIC = /^\w+ \/(?:(?:health(?:\/live|\/ready|\/model)?|ready)?\/?(?:\?|$)|docs|redoc|openapi\.json)/;

function isPublic(what: string): boolean {
  return PUBLIC.test(what);
}
