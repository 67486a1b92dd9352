import http from 'node:http';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { Body, Controller, Get, Module, Param, Post, Query, Res, type INestApplication } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { AuditTrail, type AuditEventDraft } from '@sibyl/audit';
import { Gate, IdempotencyStore, ROLES, type Principal, type StoredAnswer } from '@sibyl/auth';
import { Clock, DomainError, IdSource, SystemClock, UuidV7Source } from '@sibyl/kernel';
import { ModelRegistry } from '@sibyl/registry';
import { Metrics } from '@sibyl/telemetry';
import { capturingLogger } from '@sibyl/telemetry/testing';
import type { Response } from 'express';
import { Caller } from '../../apps/api/src/http/caller.decorator';
import { both, Endpoint } from '../../apps/api/src/http/endpoint.decorator';
import { TextField, WholeField } from '../../apps/api/src/http/fields';
import { HttpModule } from '../../apps/api/src/http/http.module';
import { HttpOptions } from '../../apps/api/src/http/http-options';
import { httpMetricsMiddleware } from '../../apps/api/src/http/http-metrics.middleware';
import { LOG } from '../../apps/api/src/http/log';
import type { PackageUpload } from '../../apps/api/src/http/package-upload';
import { RequestContext, type ApiRequest } from '../../apps/api/src/http/request-context';
import { answerBrokenRequests } from '../../apps/api/src/http/server-limits';
import { Uploaded } from '../../apps/api/src/http/uploaded.decorator';

/** An answer with its body parsed where it is JSON. */
export interface SurfaceAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Record<string, unknown>;
}

interface Call {
  /** Defaults to the good key; null sends none. */
  readonly key?: string | null;
  readonly headers?: Record<string, string>;
  readonly body?: string | FormData;
}

/** The HTTP surface of the server over real HTTP, with a few routes of its own and stand-ins for what lies below. */
export class HttpSurface {
  readonly clock = new SystemClock();
  readonly ids = new UuidV7Source(this.clock);
  readonly metrics = new Metrics();
  readonly gate = new FakeGate();
  readonly idempotency = new FakeIdempotency();
  readonly captured = capturingLogger();
  readonly events: AuditEventDraft[] = [];
  readonly options = Object.assign(new HttpOptions(), {
    bodyBytes: 2048,
    jsonDepth: 8,
    bodyTimeoutMs: 300,
    artifactBytes: 4096,
    uploadParts: 3,
  });
  /** Thrown by the routes while it is set. */
  failure: Error | undefined = undefined;
  url = '';
  private readonly folder = mkdtempSync(path.join(os.tmpdir(), 'sibyl-http-'));
  private uploads = 0;
  private app: INestApplication | undefined;

  /** Modules whose routes are served too, and stand-ins for what they ask for. */
  constructor(
    private readonly modules: readonly object[] = [],
    private readonly standIns: ReadonlyMap<unknown, unknown> = new Map(),
  ) {}

  async start(): Promise<this> {
    use(this);
    @Module({
      imports: [this.parts() as never, HttpModule, ...(this.modules as never[])],
      controllers: [ThingController],
    })
    class App {}
    const app = await NestFactory.create<NestExpressApplication>(App, { logger: false, bodyParser: false });
    app.disable('etag');
    app.use((request: ApiRequest, response: Response, next: () => void) => this.arrive(request, response, next));
    app.use(httpMetricsMiddleware(this.metrics, this.clock));
    await app.listen(0, '127.0.0.1');
    const server = app.getHttpServer() as http.Server;
    const { clock, ids, metrics, options } = this;
    answerBrokenRequests(server, { trail: this.trail() as unknown as AuditTrail, clock, ids, metrics, options });
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    this.app = app;
    return this;
  }

  async stop(): Promise<void> {
    await this.app?.close();
    this.metrics.close();
    rmSync(this.folder, { recursive: true });
  }

  async call(method: string, route: string, { key = 'good', headers = {}, body }: Call = {}): Promise<SurfaceAnswer> {
    const credentials = key === null ? {} : { 'X-API-Key': key };
    const init = { method, headers: { ...credentials, ...headers }, ...(body === undefined ? {} : { body }) };
    const answer = await fetch(this.url + route, init);
    const text = await answer.text();
    const parsed = text.startsWith('{') ? (JSON.parse(text) as Record<string, unknown>) : { text };
    return { status: answer.status, headers: answer.headers, body: parsed };
  }

  post(route: string, value: unknown, headers: Record<string, string> = {}): Promise<SurfaceAnswer> {
    const body = typeof value === 'string' ? value : JSON.stringify(value);
    return this.call('POST', route, { headers: { 'Content-Type': 'application/json', ...headers }, body });
  }

  /** Folders of uploads that are still there, once there are as many as expected or time is up. */
  async leftovers(expected: number): Promise<number> {
    const deadline = Date.now() + 5000;
    while (readdirSync(this.folder).length !== expected && Date.now() < deadline)
      await new Promise((resolve) => setImmediate(resolve));
    return readdirSync(this.folder).length;
  }

  private arrive(request: ApiRequest, response: Response, next: () => void): void {
    const { clock } = this;
    const arrival = { requestId: 'r-1', ip: '192.0.2.1', startedAt: clock.monotonic(), occurredAtMs: clock.now() };
    request.context = new RequestContext(arrival);
    const key = request.headers['x-api-key'];
    if (key === 'good') request.context.principal = PRINCIPAL as unknown as Principal;
    else if (key !== undefined) request.context.refusal = new DomainError('key_unknown', 'x');
    response.set('X-Request-Id', 'r-1');
    next();
  }

  private trail(): Pick<AuditTrail, 'commit'> {
    return { commit: (event) => Promise.resolve(void this.events.push(event)) };
  }

  private registry(): Pick<ModelRegistry, 'uploadFolder' | 'discard'> {
    return {
      uploadFolder: async () => {
        const folder = path.join(this.folder, String(++this.uploads));
        await mkdir(folder);
        return folder;
      },
      discard: (folder) => rm(folder, { recursive: true, force: true }),
    };
  }

  private parts(): object {
    const values = new Map<unknown, unknown>([
      [Gate, this.gate],
      [IdempotencyStore, this.idempotency],
      [Metrics, this.metrics],
      [ModelRegistry, this.registry()],
      [HttpOptions, this.options],
      [AuditTrail, this.trail()],
      [Clock, this.clock],
      [IdSource, this.ids],
      [LOG, this.captured.log],
      ...this.standIns,
    ]);
    const providers = [...values].map(([provide, useValue]) => ({ provide, useValue }));
    return { module: Parts, global: true, providers, exports: [...values.keys()] };
  }
}

@Module({})
class Parts {}

// Nest makes the controller by itself, so that it finds its surface here: one at a time in a test process.
let surface: HttpSurface;

function use(started: HttpSurface): void {
  surface = started;
}

class ThingBody {
  @TextField({ description: 'x', max: 5 })
  name: string;
}

class ThingQuery {
  @WholeField({ description: 'x', min: 1, max: 9, query: true, optional: true })
  limit?: number;
}

let made = 0;

@Controller()
class ThingController {
  @Get('open')
  @Endpoint({ summary: 'x', access: 'public', action: 'thing.open', answer: 'Thing' })
  open(): object {
    return { open: true };
  }

  @Get(both('/things/:name'))
  @Endpoint({ summary: 'x', access: 'models:read', action: 'thing.read', model: 'name', answer: 'Thing' })
  find(@Param('name') name: string, @Query() query: ThingQuery, @Caller() caller: Principal): object {
    if (surface.failure !== undefined) throw surface.failure;
    return { name, limit: query.limit, caller: caller.name };
  }

  @Post('things')
  @Endpoint({
    summary: 'x',
    access: 'models:write',
    action: 'thing.make',
    answer: 'Thing',
    status: 201,
    creates: true,
    body: 'json',
  })
  make(@Body() body: ThingBody, @Res({ passthrough: true }) response: Response): object {
    if (surface.failure !== undefined) throw surface.failure;
    response.set('Location', `/things/${body.name}`);
    return { ...body, made: ++made };
  }

  @Post('packages')
  @Endpoint({
    summary: 'x',
    access: 'models:write',
    action: 'thing.pack',
    answer: 'Thing',
    status: 201,
    body: 'package',
  })
  pack(@Uploaded() upload: PackageUpload | undefined): object {
    return { files: [...(upload?.digests ?? [])], fields: [...(upload?.fields ?? [])] };
  }

  @Get('text')
  @Endpoint({ summary: 'x', access: 'any key', action: 'thing.text', answer: { mediaType: 'text/plain' } })
  text(): string {
    return 'plain';
  }

  @Get('forgotten')
  forgotten(): object {
    return {};
  }
}

const PRINCIPAL = {
  keyId: 'k',
  prefix: 'p',
  name: 'tester',
  scopes: ROLES.admin as readonly string[],
  actor: { type: 'key', id: 'k', name: 'tester' },
};

class FakeGate {
  limited = false;
  authorize(_principal: Principal, scopes: string | readonly string[], model?: string): void {
    const scope = typeof scopes === 'string' ? scopes : scopes[0];
    if (!PRINCIPAL.scopes.includes(scope ?? ''))
      throw new DomainError('scope_missing', `The key lacks the scope \`${scope}\`.`);
    if (model === 'secret') throw new DomainError('model_forbidden', 'x');
  }
  admit(): object {
    if (this.limited) throw new DomainError('rate_limited', 'x', { retryAfterSeconds: 7 });
    return { policy: 'key', limit: 10, seconds: 60, remaining: 9, resetSeconds: 6 };
  }
  limits = () => [{ policy: 'key', limit: 10, seconds: 60, remaining: 0, resetSeconds: 60 }];
  addressLimit = () => ({ policy: 'address', limit: 100, seconds: 10, remaining: 0, resetSeconds: 10 });
}

/** As the real store answers, without a database. */
class FakeIdempotency {
  readonly kept = new Map<string, { fingerprint: string; answer?: StoredAnswer }>();
  async begin(keyId: string, key: string, fingerprint: string): Promise<unknown> {
    const row = this.kept.get(key);
    if (row === undefined) {
      this.kept.set(key, { fingerprint });
      return { kind: 'new', lease: { id: key, keyId, idempotencyKey: key } };
    }
    if (row.fingerprint !== fingerprint) throw new DomainError('idempotency_conflict', 'x');
    if (row.answer === undefined) throw new DomainError('idempotency_running', 'x');
    return Promise.resolve({ kind: 'stored', answer: row.answer });
  }
  async finish({ idempotencyKey }: { idempotencyKey: string }, answer: StoredAnswer): Promise<void> {
    if (answer.status >= 500) this.kept.delete(idempotencyKey);
    else this.kept.set(idempotencyKey, { fingerprint: this.kept.get(idempotencyKey)?.fingerprint ?? '', answer });
    return Promise.resolve();
  }
}
