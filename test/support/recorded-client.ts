import type { TestServer } from './server.mjs';
import { checkProblem } from './problem';
import { MULTIPART, multipart, partsOf, type PackageFiles, type Part } from './model-packages';

/** An answer to a request that was sent under an id of its own. */
export interface Reply {
  readonly requestId: string;
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** Parsed where the answer is JSON. */
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  readonly body: any;
}

/** An event as `GET /v1/audit/events` lists it. */
export interface AuditEvent {
  readonly id: string;
  readonly recorded_at: string;
  readonly request_id: string;
  readonly prediction_id: string;
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

export interface Request {
  /** Defaults to the admin key; null sends none. */
  readonly key?: string | null;
  readonly headers?: Readonly<Record<string, string>>;
  /** Strings, bytes and forms are sent as they are, anything else as JSON. */
  readonly body?: unknown;
  readonly timeoutMs?: number;
  /** How many events it must leave; by itself one, where its route is not public. */
  readonly events?: 0 | 1;
}

/** What was sent under an id, the status of its answer, and how many events that must have; undefined: any number. */
interface Sent {
  readonly what: string;
  readonly status: number;
  readonly events?: 0 | 1 | undefined;
}

/** A client whose every request has an id of its own, so that what was sent can be compared with what was recorded. */
export class RecordedClient {
  readonly sent = new Map<string, Sent>();
  private requests = 0;

  constructor(
    private readonly server: TestServer,
    private readonly name: string,
  ) {}

  /** An id that no other request has. */
  nextId(): string {
    return `${this.name}-${++this.requests}`;
  }

  /** Sends a request; an error must be the problem document that every caller may rely on. */
  async call(method: string, route: string, request: Request = {}): Promise<Reply> {
    const { body, timeoutMs = 60_000, events = isPublic(`${method} ${route}`) ? undefined : 1 } = request;
    const headers = this.headersOf(request);
    const answer = await fetch(this.server.url + route, {
      method,
      headers,
      ...(body === undefined ? {} : { body: bodyOf(body) }),
      signal: AbortSignal.timeout(timeoutMs),
    });
    const text = await answer.text();
    const { status } = answer;
    const requestId = headers.get('x-request-id') ?? '';
    const type = answer.headers.get('content-type');
    this.sent.set(answer.headers.get('x-request-id') ?? requestId, { what: `${method} ${route}`, status, events });
    if (status >= 400 && method !== 'HEAD') checkProblem(`${method} ${route}`, { status, text, contentType: type });
    const isJson = /\bjson\b/.test(type ?? '') && text !== '';
    return { requestId, status, headers: answer.headers, text, body: isJson ? JSON.parse(text) : text };
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
      const route = `/v1/audit/events?order=asc&limit=1000${filter && `&${filter}`}${page}`;
      const { status, body } = await this.get(route);
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

  /** Requests whose events are not those that they must leave: too few, too many, or with another status than the answer's. */
  async unrecorded(): Promise<string[]> {
    const sent = [...this.sent].filter(([, { events }]) => events !== undefined);
    const recorded = new Map<string, AuditEvent[]>();
    for (const event of await this.events())
      recorded.set(event.request_id, [...(recorded.get(event.request_id) ?? []), event]);
    return sent.flatMap(([id, { what, status, events }]) => {
      const found = recorded.get(id) ?? [];
      const fits = found.every((event) => event.status === status && event.outcome === outcomeOf(status));
      return found.length === events && fits ? [] : [`${id} ${what} ${status}: ${JSON.stringify(found)}`];
    });
  }

  private headersOf({ key = this.server.adminKey, headers = {}, body }: Request): Headers {
    const all = new Headers({ 'x-request-id': this.nextId() });
    if (key !== null) all.set('x-api-key', key);
    if (body !== undefined && !(body instanceof FormData)) all.set('content-type', 'application/json');
    for (const [name, value] of Object.entries(headers)) all.set(name, value);
    return all;
  }
}

const PUBLIC = /^\w+ \/(?:(?:health(?:\/live|\/ready|\/model)?|ready)?\/?(?:\?|$)|docs|redoc|openapi\.json)/;

function isPublic(what: string): boolean {
  return PUBLIC.test(what);
}

function bodyOf(body: unknown): string | Uint8Array<ArrayBuffer> | FormData {
  if (typeof body === 'string' || body instanceof FormData) return body;
  return body instanceof Uint8Array ? new Uint8Array(body) : JSON.stringify(body);
}

function outcomeOf(status: number): string {
  if (status < 400) return 'succeeded';
  return [401, 403, 429].includes(status) ? 'denied' : 'failed';
}
