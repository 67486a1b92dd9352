import { once } from 'node:events';
import fs from 'node:fs';
import http from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import path from 'node:path';
import { REPOSITORY, startServer, type TestServer } from '../support/server.mjs';

const EXAMPLE = path.join(REPOSITORY, 'examples/models/momentum-1.2.3');
const MODEL = fs.readFileSync(path.join(EXAMPLE, 'model.onnx'));
const WAIT_MS = 20_000;

/** Everything that an import asks for, over HTTP and as MLflow has it; `/slow/` never ends. */
class Elsewhere {
  readonly asked: string[] = [];
  stage = 'Staging';
  private readonly sockets = new Set<Socket>();
  private readonly server = http.createServer((request, response) => this.answer(request, response));

  async start(): Promise<this> {
    this.server.on('connection', (socket) => this.sockets.add(socket.on('error', () => undefined)));
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
    return this;
  }

  get host(): string {
    return `127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  stop(): void {
    this.server.close();
    for (const socket of this.sockets) socket.destroy();
  }

  private answer(request: http.IncomingMessage, response: http.ServerResponse): void {
    const { pathname, searchParams } = new URL(request.url ?? '', `http://${this.host}`);
    this.asked.push(pathname);
    const json = (value: unknown): void => void response.end(JSON.stringify(value));
    const version = { name: 'churn', version: '1', current_stage: this.stage, status: 'READY' };
    if (pathname === '/slow/weights.bin') {
      response.writeHead(200, { 'content-length': 1e9 });
      response.write(Buffer.alloc(200_000));
    } else if (pathname === '/slow/sibyl.json') json({ name: 'slow', version: '1', files: ['weights.bin'] });
    else if (pathname.endsWith('/model.onnx')) response.end(MODEL);
    else if (pathname.endsWith('/get-latest-versions'))
      json({ model_versions: searchParams.get('stages') === this.stage ? [version] : [] });
    else if (pathname.endsWith('/get-download-uri')) json({ artifact_uri: 'mlflow-artifacts:/churn/1' });
    else if (pathname.endsWith('/mlflow-artifacts/artifacts')) json({ files: [{ path: 'model.onnx', is_dir: false }] });
    else response.writeHead(404).end('{}');
  }
}

describe('importing from elsewhere', () => {
  let elsewhere: Elsewhere;
  let server: TestServer;
  beforeAll(async () => {
    elsewhere = await new Elsewhere().start();
    const env = {
      SIBYL_MODELS: EXAMPLE,
      SIBYL_IMPORT_HOSTS: elsewhere.host,
      MLFLOW_TRACKING_URI: `http://${elsewhere.host}`,
    };
    server = await startServer({ env });
  }, 90_000);
  afterAll(async () => {
    await server.stop();
    elsewhere.stop();
  }, 30_000);

  const uploads = (): string[] => fs.readdirSync(path.join(server.dataDir, 'artifacts/uploads'));

  async function until<T>(what: () => Promise<T | undefined> | T | undefined): Promise<T> {
    for (const begun = Date.now(); Date.now() - begun < WAIT_MS;) {
      const found = await what();
      if (found !== undefined) return found;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error('it did not come to pass');
  }

  it('registers and loads what a URI names, refuses other places, and shows where it came from', async () => {
    const body = { model_id: 'bare', version: '1', registry_uri: `http://${elsewhere.host}/m/model.onnx` };
    const loaded = await server.call('POST', '/v1/models/load', { body });
    expect(loaded).toMatchObject({ status: 200, body: { name: 'bare', version: '1', loaded: true } });
    const shown = await server.call('GET', '/v1/models/bare/versions/1');
    expect(shown.body).toMatchObject({ source: { uri: body.registry_uri, resolved_uri: body.registry_uri } });
    for (const uri of ['http://169.254.169.254/sibyl.json', 'http://localhost:1/sibyl.json', 's3://bucket/x']) {
      const refused = await server.call('POST', '/v1/models/x/versions', { body: { source_uri: uri } });
      expect(refused).toMatchObject({ status: 400, body: { code: 'invalid_parameter' } });
    }
  });

  it('goes on in an operation that tells how far it is, and a cancelled one leaves nothing', async () => {
    const body = { source_uri: `http://${elsewhere.host}/slow/sibyl.json` };
    const headers = { prefer: 'respond-async' };
    const begun = await server.call<{ id: string }>('POST', '/v1/models/slow/versions', { body, headers });
    expect(begun.status).toBe(202);
    const route = `/v1/operations/${begun.body.id}`;
    const look = () => server.call<{ status: string; progress: { done: number; total: number } }>('GET', route);
    const seen = await until(async () => {
      const { progress } = (await look()).body;
      return progress.done >= 200_000 ? progress : undefined;
    });
    expect(seen).toMatchObject({ what: 'fetching weights.bin' });
    expect(seen.total).toBeGreaterThanOrEqual(1e9);
    await server.call('DELETE', route);
    await until(async () => ((await look()).body.status === 'cancelled' ? true : undefined));
    expect(uploads()).toEqual([]);
  });

  it('lets a model follow MLflow, and says in its answers that a version stands in, until it does not', async () => {
    const sync = {
      name: 'churn',
      stages: ['Production'],
      fallback: ['Staging'],
      ttl_seconds: 10,
      promote: 'production',
    };
    const set = { reason: 'to follow it', sync };
    const policy = await server.call('PUT', '/v1/models/churn/policy', {
      body: set,
      headers: { 'if-none-match': '*' },
    });
    expect(policy).toMatchObject({ status: 200, body: { sync } });
    await until(async () =>
      (await server.call('GET', '/v1/models/churn/aliases/production')).status === 200 ? true : undefined,
    );
    const shown = await server.call<{ signature: { inputs: { name: string; shape: number[] }[] } }>(
      'GET',
      '/v1/models/churn/versions/1',
    );
    expect(shown.body).toMatchObject({ source: { resolved_uri: 'models:/churn/1', instead_of: 'Production' } });
    const [input] = shown.body.signature.inputs;
    const inputs = { [input?.name ?? '']: [Array.from({ length: input?.shape[1] ?? 0 }, () => 1)] };
    const answer = () => server.call<{ degraded?: unknown }>('POST', '/models/churn/predict', { body: { inputs } });
    expect((await answer()).body.degraded).toEqual({ reasons: ['fallback_version'], instead_of: 'Production' });
    const metrics = await server.call<string>('GET', '/metrics');
    expect(metrics.body).toContain('sibyl_model_degraded{model="churn",version="1"} 1');
    expect(metrics.body).toContain('sibyl_model_syncs_total{model="churn",outcome="imported"} 1');
    const followed = await server.call('GET', '/v1/models/churn/policy');
    expect(followed.body).toMatchObject({ sync, sync_status: { failures: 0, registry_version: '1', version: '1' } });
    elsewhere.stage = 'Production';
    await until(async () => ((await answer()).body.degraded === undefined ? true : undefined));
  }, 60_000);

  it('leaves nothing of a download in which it was killed', async () => {
    const body = { source_uri: `http://${elsewhere.host}/slow/sibyl.json` };
    const headers = { prefer: 'respond-async' };
    expect((await server.call('POST', '/v1/models/slow/versions', { body, headers })).status).toBe(202);
    await until(() => (uploads().length > 0 ? true : undefined));
    await server.kill9();
    expect(uploads()).toHaveLength(1);
    await server.start();
    expect(uploads()).toEqual([]);
    expect((await server.call('GET', '/models/slow/versions')).status).toBe(404);
    expect((await server.call('POST', '/models/bare/predict', { body: {} })).status).toBe(422);
  }, 60_000);
});
