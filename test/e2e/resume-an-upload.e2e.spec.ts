import { createHash } from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { linearModel } from '@sibyl/onnx/testing';
import { RecordedClient, type Reply } from '../support/recorded-client';
import { startServer, type TestServer } from '../support/server.mjs';

const MODEL = linearModel({ weights: [[0]], bias: [7] });
const WAIT_MS = 60_000;
const BIG = Buffer.alloc(3_000_000, 'weights that nobody needs to send twice');
const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

describe('sending the files of a package one by one', () => {
  let server: TestServer;
  let client: RecordedClient;

  beforeAll(async () => {
    server = await startServer({ env: { SIBYL_MODELS: '', SIBYL_ARTIFACT_BYTES: '4000000' } });
    client = new RecordedClient(server, 'upload');
  }, 90_000);
  afterAll(() => server.stop(), 30_000);

  const route = (bytes: Buffer, model = 'steps'): string => `/v1/models/${model}/uploads/${sha256(bytes)}`;
  const put = (bytes: Buffer, headers = {}, to = route(bytes)): Promise<Reply> =>
    client.call('PUT', to, { headers: { 'content-type': 'application/octet-stream', ...headers }, body: bytes });
  const there = async (bytes: Buffer, model = 'steps', key = server.adminKey) => {
    const { status, headers } = await client.call('HEAD', route(bytes, model), { key });
    return [status, headers.get('upload-offset'), headers.get('upload-complete')];
  };
  const manifest = (model: string, more = {}): Buffer =>
    Buffer.from(JSON.stringify({ name: model, version: '1', ...more }));
  const register = (model: string, files: Record<string, string>, key = server.adminKey): Promise<Reply> =>
    client.post(`/v1/models/${model}/versions`, { files }, { key });

  /** Sends the first `bytes` of a file that claims to be whole, and hangs up. */
  const cutOff = (file: Buffer, bytes: number): Promise<void> =>
    new Promise((resolve) => {
      const headers = { 'x-api-key': server.adminKey, 'content-length': file.length };
      const request = http.request(server.url + route(file), { method: 'PUT', headers });
      request.on('error', () => resolve());
      request.write(file.subarray(0, bytes), () => setTimeout(() => request.destroy(), 200));
    });

  /** What is there of a file once the server has seen that its sender is gone, and keeps it for the next. */
  const kept = async (file: Buffer): Promise<number> => {
    const folder = path.join(server.dataDir, 'artifacts/files');
    for (const deadline = Date.now() + WAIT_MS; Date.now() < deadline; await sleep(50)) {
      const names = fs.existsSync(folder) ? fs.readdirSync(folder, { recursive: true, encoding: 'utf8' }) : [];
      if (names.some((name) => name.endsWith(`${sha256(file)}.part`))) return Number((await there(file))[1]);
    }
    throw new Error('nothing of the file was kept');
  };

  it('goes on where it broke off', async () => {
    expect(await there(BIG)).toEqual([200, '0', '?0']);
    await cutOff(BIG, 1_000_000);
    const offset = await kept(BIG);
    expect(offset).toBeLessThanOrEqual(1_000_000);
    const middle = offset + 500_000;
    const part = { 'content-range': `bytes ${offset}-${middle - 1}/${BIG.length}` };
    expect(await put(BIG.subarray(offset, middle), part, route(BIG))).toMatchObject({
      status: 200,
      body: { offset: middle, complete: false },
    });
    const rest = { 'content-range': `bytes ${middle}-${BIG.length - 1}/${BIG.length}` };
    expect(await put(BIG.subarray(middle), rest, route(BIG))).toMatchObject({
      status: 201,
      body: { digest: `sha256:${sha256(BIG)}`, offset: BIG.length, complete: true },
    });
    expect(await there(BIG)).toEqual([200, String(BIG.length), '?1']);
  }, 90_000);

  it('takes nothing twice', async () => {
    expect(await put(BIG)).toMatchObject({ status: 200, body: { complete: true } });
  });

  it.each([
    ['other bytes than the digest names', MODEL, {}, () => route(Buffer.from('others')), 400],
    ['a range that begins elsewhere', MODEL, { 'content-range': 'bytes 5-9/100' }, () => route(MODEL), 400],
    ['a range that cannot be read', MODEL, { 'content-range': 'bytes */*' }, () => route(MODEL), 400],
    ['a digest that is none', MODEL, {}, () => '/v1/models/steps/uploads/..%2f..%2fx', 400],
    ['a file past the limit', Buffer.alloc(4_000_001), {}, () => route(Buffer.alloc(4_000_001)), 413],
    ['a file that would be past it', MODEL, { 'content-range': 'bytes 0-9/4000001' }, () => route(MODEL), 413],
    ['more bytes than the range says', MODEL, { 'content-range': 'bytes 0-9/20' }, () => route(MODEL), 413],
  ])('refuses %s', async (_, bytes, headers, to, status) => {
    expect((await put(bytes, headers, to())).status).toBe(status);
  });

  it('registers a package out of what is there, and keeps nothing beside it', async () => {
    const document = manifest('steps', { files: ['weights.bin'] });
    for (const bytes of [MODEL, document]) expect([200, 201]).toContain((await put(bytes)).status);
    const files = {
      'model.onnx': sha256(MODEL),
      'sibyl.json': sha256(document),
      'weights.bin': `sha256:${sha256(BIG)}`,
    };
    expect(await register('steps', files)).toMatchObject({ status: 201, body: { version: '1', status: 'validated' } });
    const left = fs.readdirSync(path.join(server.dataDir, 'artifacts/files'), { recursive: true, withFileTypes: true });
    expect(left.filter((entry) => entry.isFile())).toEqual([]);
    expect(fs.readdirSync(path.join(server.dataDir, 'artifacts/uploads'))).toEqual([]);
  });

  it('refuses a name that is both a file and a folder', async () => {
    expect([200, 201]).toContain((await put(MODEL)).status);
    const files = { 'model.onnx': sha256(MODEL), 'model.onnx/weights.bin': sha256(MODEL) };
    expect(await register('steps', files)).toMatchObject({ status: 400, body: { code: 'invalid_parameter' } });
  });

  it('needs no bytes of a version that the key may take out', async () => {
    expect(await there(BIG, 'strides')).toEqual([200, String(BIG.length), '?1']);
    const document = manifest('strides', { files: ['weights.bin'] });
    await put(document, {}, route(document, 'strides'));
    const files = { 'model.onnx': sha256(MODEL), 'sibyl.json': sha256(document), 'weights.bin': sha256(BIG) };
    expect((await register('strides', files)).status).toBe(201);
  });

  it('gives nobody the bytes of a model that he may not read for knowing their digest', async () => {
    const issued = await client.post('/v1/keys', { name: 'thief', scopes: ['models:write'], models: ['thief*'] });
    const { key } = issued.body;
    expect(await there(BIG, 'thief', key)).toEqual([200, '0', '?0']);
    expect(await there(BIG, 'steps', key)).toEqual([403, null, null]);
    const refused = await register('thief', { 'model.onnx': sha256(MODEL) }, key);
    expect(refused).toMatchObject({ status: 400, body: { code: 'invalid_parameter' } });
    // The same as for bytes that nobody has.
    const unknown = await register('thief', { 'model.onnx': sha256(Buffer.from('nothing')) }, key);
    expect(unknown.body.detail).toBe(refused.body.detail);
  });

  it.each([
    [{ '../model.onnx': sha256(MODEL) }],
    [{ 'model.onnx': 'latest' }],
    [{ 'model.onnx': 7 as unknown as string }],
    [{}],
  ])('refuses %j', async (files) => {
    expect(await register('steps', files)).toMatchObject({ status: 400, body: { code: 'invalid_parameter' } });
  });

  it('gives back what is not needed, to whoever may send for the model', async () => {
    const [whole, begun] = [Buffer.from('a file that nobody registers'), Buffer.from('one that is not whole')];
    expect((await put(whole, {}, route(whole))).status).toBe(201);
    await put(begun.subarray(0, 5), { 'content-range': `bytes 0-4/${begun.length}` }, route(begun));
    expect(await there(begun)).toEqual([200, '5', '?0']);
    const issued = await client.post('/v1/keys', { name: 'other', scopes: ['models:write'], models: ['other*'] });
    const { key } = issued.body;
    expect((await client.call('DELETE', route(whole), { key })).status).toBe(403);
    for (const file of [whole, begun, whole]) {
      const reply = await client.call('DELETE', route(file));
      expect(reply).toMatchObject({
        status: 200,
        body: { digest: `sha256:${sha256(file)}`, offset: 0, complete: false },
      });
      expect(await there(file)).toEqual([200, '0', '?0']);
    }
    const given = await client.events('action=model.discard&outcome=succeeded&model=steps');
    expect(given).toHaveLength(3);
    expect((await client.call('DELETE', '/v1/models/steps/uploads/x')).status).toBe(400);
    expect((await client.call('DELETE', route(whole, 'a..b'))).status).toBe(400);
  });

  it('takes no file from whoever sends it', async () => {
    const slow = Buffer.alloc(2_000_000, 'comes slowly');
    const headers = { 'x-api-key': server.adminKey, 'content-length': slow.length };
    const request = http.request(server.url + route(slow), { method: 'PUT', headers });
    const done = new Promise<number | undefined>((resolve, reject) =>
      request.on('error', reject).on('response', (response) => {
        response.resume();
        resolve(response.statusCode);
      }),
    );
    request.write(slow.subarray(0, 1_000_000));
    for (const deadline = Date.now() + WAIT_MS; (await there(slow))[1] === '0'; await sleep(50))
      if (Date.now() > deadline) throw new Error('nothing of the file came');
    expect(await client.call('DELETE', route(slow))).toMatchObject({ status: 409, body: { code: 'in_use' } });
    request.end(slow.subarray(1_000_000));
    expect(await done).toBe(201);
    // Sent without the client: its two events are asked for by nobody.
    expect((await client.call('DELETE', route(slow))).status).toBe(200);
  }, 90_000);

  it('goes on after kill -9', async () => {
    const other = Buffer.alloc(2_000_000, 'another');
    await put(other.subarray(0, 1000), { 'content-range': `bytes 0-999/${other.length}` }, route(other));
    await server.kill9();
    await server.start();
    expect(await there(other)).toEqual([200, '1000', '?0']);
    const rest = { 'content-range': `bytes 1000-${other.length - 1}/${other.length}` };
    expect((await put(other.subarray(1000), rest, route(other))).status).toBe(201);
  }, 60_000);

  it('has one event for every request', async () => {
    expect(await client.unrecorded()).toEqual([]);
  });
});
