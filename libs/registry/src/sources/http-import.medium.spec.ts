import { randomBytes } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import path from 'node:path';
import { DomainError } from '@sibyl/kernel';
import { externalDataModel } from '@sibyl/onnx/testing';
import type { OnProgress } from '../progress';
import type { RegistryOptions } from '../registry-options';
import { FileServer } from '../testing/file-server';
import { packageFolder } from '../testing/package-folder';
import { ALICE, registryFixture, type RegistryFixture } from '../testing/registry-fixture';
import type { Resolve } from './outgoing-guard';
import { SourceOptions } from './source-options';

let at: RegistryFixture;
let server: FileServer;
beforeAll(async () => {
  at = await registryFixture();
});
afterAll(() => at.end());
beforeEach(async () => {
  server = await FileServer.start();
});
afterEach(async () => {
  await server.stop();
  // Whatever became of an import, nothing of it stays.
  expect(await readdir(path.join(at.options.artifactFolder, 'uploads'))).toEqual([]);
  expect(await readdir(path.join(at.options.artifactFolder, 'staging'))).toEqual([]);
});

const QUICK = { retryMs: 1, stallMs: 300, attempts: 3 };
let models = 0;

/** Puts a package on the server and returns its name. */
async function publish(
  folder = '/p',
  parts: { files?: Record<string, Buffer>; version?: string } = {},
): Promise<string> {
  const name = `h${++models}`;
  const manifest = {
    name,
    version: parts.version ?? '1.0.0',
    ...(parts.files ? { files: Object.keys(parts.files) } : {}),
  };
  const local = await packageFolder({ manifest, ...(parts.files ? { files: parts.files } : {}) });
  for (const file of await readdir(local))
    server.files.set(`${folder}/${file}`, await readFile(path.join(local, file)));
  return name;
}

interface Import {
  readonly uri?: string;
  readonly options?: Partial<RegistryOptions>;
  readonly sources?: Partial<SourceOptions>;
  readonly resolve?: Resolve;
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
  readonly name?: string;
  readonly version?: string;
}

function importing({
  uri = `${server.url}/p/sibyl.json`,
  options,
  sources,
  resolve,
  signal,
  onProgress,
  ...request
}: Import = {}) {
  const call = { ...(signal ? { signal } : {}), ...(onProgress ? { onProgress } : {}) };
  const sourceOptions = Object.assign(new SourceOptions(), { hosts: [server.host], ...QUICK }, sources);
  const registry = at.another(options, { sourceOptions, ...(resolve ? { resolve } : {}) });
  return registry.importUri(ALICE, { uri, call, ...request }, at.record);
}

const failure = (promise: Promise<unknown>): Promise<DomainError> =>
  promise.then(
    () => Promise.reject(new Error('it was accepted')),
    (error: DomainError) => error,
  );

/** Sends the head and a part of a file, and then breaks the connection. */
function cut(response: ServerResponse, content: Buffer, bytes: number, headers: Record<string, string> = {}): void {
  response.writeHead(200, { 'content-length': content.length, ...headers });
  response.write(content.subarray(0, bytes), () => response.destroy());
}

describe('a package over HTTP', () => {
  it('comes by the URI of its manifest with all that it names, and says where it came from', async () => {
    const name = await publish('/p', { files: { 'notes.bin': randomBytes(100_000) } });
    server.files.set('/p/tokenizer.json', Buffer.from('{}'));
    const { version, created } = await importing();
    expect(created).toBe(true);
    expect(version.files.map((file) => file.path).sort()).toEqual([
      'golden.json',
      'model.onnx',
      'notes.bin',
      'sibyl.json',
      'tokenizer.json',
    ]);
    expect(version.source).toMatchObject({
      uri: `${server.url}/p/sibyl.json`,
      resolvedUri: `${server.url}/p/sibyl.json`,
    });
    expect((await at.registry.find(name, '1.0.0')).source).toEqual(version.source);
    expect(at.changes.at(-1)).toMatchObject({ changes: { source: { uri: `${server.url}/p/sibyl.json` } } });
  });

  it('comes by the URI of its model with external data, and without a manifest by the name in the request', async () => {
    server.files.set('/m/churn.onnx', externalDataModel({ location: 'weights.bin', offset: '0', length: '8' }));
    server.files.set('/m/weights.bin', Buffer.alloc(8));
    const name = `h${++models}`;
    const { version } = await importing({ uri: `${server.url}/m/churn.onnx?sig=1`, name, version: '7' });
    expect(version).toMatchObject({ model: name, version: '7', source: { resolvedUri: `${server.url}/m/churn.onnx` } });
    expect(version.files.map((file) => file.path).sort()).toEqual(['model.onnx', 'weights.bin']);
    expect((await failure(importing({ uri: `${server.url}/m/churn.onnx` }))).code).toBe('invalid_parameter');
  });

  it('is told how far it has come', async () => {
    await publish('/p', { files: { 'notes.bin': randomBytes(1_000_000) } });
    const seen: (readonly [number, number])[] = [];
    await importing({ onProgress: (done, total, what) => what.startsWith('fetching') && seen.push([done, total]) });
    expect(seen.length).toBeGreaterThan(5);
    expect(seen.every(([done, total]) => done <= total)).toBe(true);
    expect(seen.at(-1)?.[0]).toBeGreaterThan(1_000_000);
  });

  it('goes on where the connection broke, at 99 % too, and begins anew what has changed meanwhile', async () => {
    const notes = randomBytes(2_000_000);
    await publish('/p', { files: { 'notes.bin': notes } });
    let breaks = 0;
    server.handlers.set('/p/notes.bin', (request, response) => {
      if (breaks++ === 0) cut(response, notes, Math.floor(notes.length * 0.99), { etag: '"one"' });
      else {
        expect(request.headers).toMatchObject({ 'if-range': '"one"' });
        const from = Number(/\d+/.exec(request.headers.range ?? '')?.[0]);
        expect(from).toBeGreaterThan(0);
        const range = `bytes ${from}-${notes.length - 1}/${notes.length}`;
        const rest = notes.subarray(from);
        response.writeHead(206, { 'content-length': rest.length, 'content-range': range, etag: '"one"' }).end(rest);
      }
    });
    const first = await importing();
    expect(breaks).toBe(2);
    const stored = await at.registry.artifactFolder(first.version.digest);
    expect((await readFile(path.join(stored, 'notes.bin'))).equals(notes)).toBe(true);

    const other = randomBytes(1_500_000);
    await publish('/p', { files: { 'notes.bin': other } });
    breaks = 0;
    server.handlers.set('/p/notes.bin', (request, response) =>
      breaks++ === 0 ? cut(response, notes, 900_000, { etag: '"old"' }) : server.send(other, request, response),
    );
    const second = await importing();
    const folder = await at.registry.artifactFolder(second.version.digest);
    expect((await readFile(path.join(folder, 'notes.bin'))).equals(other)).toBe(true);
  });

  it('is given up when each attempt ends where the one before did, and nothing of it is kept', async () => {
    const name = await publish('/p', { files: { 'notes.bin': randomBytes(2_000_000) } });
    const notes = server.files.get('/p/notes.bin') ?? Buffer.alloc(0);
    server.handlers.set('/p/notes.bin', (_request, response) => cut(response, notes, 1_980_000));
    expect(await failure(importing())).toMatchObject({ code: 'source_unavailable' });
    expect(server.asked('/p/notes.bin')).toBeGreaterThanOrEqual(3);
    expect((await failure(at.registry.find(name, '1.0.0'))).code).toBe('model_not_found');
  });

  it('is refused when it is larger than it may be: by what it announces, and by what comes', async () => {
    await publish('/p', { files: { 'notes.bin': randomBytes(300_000) } });
    const options = { artifactBytes: 200_000 };
    expect(await failure(importing({ options }))).toMatchObject({ code: 'model_rejected' });
    let sent = 0;
    server.handlers.set('/p/notes.bin', (_request, response) => {
      const more = (): void => {
        if (response.destroyed) return;
        sent += 65_536;
        response.write(Buffer.alloc(65_536), more);
      };
      more();
    });
    expect(await failure(importing({ options }))).toMatchObject({
      code: 'model_rejected',
      faults: [{ pointer: '/notes.bin' }],
    });
    expect(sent).toBeLessThan(50_000_000);
  });

  it('is not held up by a server that says less than it sends, or drips', async () => {
    await publish('/p', { files: { 'notes.bin': Buffer.alloc(1000, 1) } });
    server.handlers.set('/p/notes.bin', (_request, response) => {
      response.socket?.end(`HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n${'x'.repeat(3000)}`);
    });
    const short = await importing();
    const file = short.version.files.find(({ path: name }) => name === 'notes.bin');
    expect(file?.bytes).toBe(1000);
    await publish('/p', { files: { 'notes.bin': Buffer.alloc(1000, 1) } });
    server.handlers.set('/p/notes.bin', (_request, response) => {
      response.writeHead(200, { 'content-length': 1_000_000 });
      const timer = setInterval(() => response.write('x'), 20);
      response.once('close', () => clearInterval(timer));
    });
    expect(await failure(importing())).toMatchObject({ code: 'source_unavailable' });
  });

  it('ends in its time, and when it is cancelled', async () => {
    await publish('/p', { files: { 'notes.bin': Buffer.alloc(10) } });
    server.handlers.set('/p/notes.bin', (_request, response) => {
      response.writeHead(200);
      const timer = setInterval(() => response.write(Buffer.alloc(100_000)), 20);
      response.once('close', () => clearInterval(timer));
    });
    expect(await failure(importing({ sources: { importMs: 1000 } }))).toMatchObject({ code: 'deadline_exceeded' });
    const abort = new AbortController();
    const cancelled = importing({
      signal: abort.signal,
      onProgress: (done) => done > 1_000_000 && abort.abort(new Error('enough')),
    });
    await expect(cancelled).rejects.toThrow('enough');
  });

  it('is remembered without the query of its address, which may be a signature', async () => {
    await publish();
    at.changes.length = 0;
    const { version } = await importing({ uri: `${server.url}/p/sibyl.json?X-Amz-Signature=secret#x` });
    expect(version.source).toMatchObject({ uri: `${server.url}/p/sibyl.json` });
    expect(JSON.stringify([version, at.changes])).not.toContain('secret');
  });

  it('follows redirects to hosts that are allowed, without end to none, and never to the address of credentials', async () => {
    const name = await publish('/q');
    const redirect = (location: string) => (_request: unknown, response: ServerResponse) =>
      void response.writeHead(302, { location }).end();
    server.handlers.set('/p/sibyl.json', redirect('/q/sibyl.json'));
    server.handlers.set('/p/model.onnx', redirect(`${server.url}/q/model.onnx`));
    server.handlers.set('/p/golden.json', redirect('../q/golden.json'));
    expect((await importing()).version.model).toBe(name);
    for (const location of [
      'http://169.254.169.254/latest/meta-data/iam',
      'http://[::ffff:a9fe:a9fe]/',
      'http://localhost:1/',
      'file:///etc/passwd',
      `http://user:pass@${server.host}/q/model.onnx`,
    ]) {
      server.handlers.set('/p/model.onnx', redirect(location));
      expect(await failure(importing())).toMatchObject({ code: 'invalid_parameter' });
    }
    server.handlers.set('/p/model.onnx', redirect('/p/model.onnx'));
    expect(await failure(importing())).toMatchObject({ code: 'source_unavailable' });
  });

  it('is connected to at the address that was checked, whatever the name means a moment later', async () => {
    await publish();
    const uri = `http://files.example.com:${server.port}/p/sibyl.json`;
    const hosts = ['files.example.com'];
    let asked = 0;
    // Public when it is looked at, the loopback when it is used: a second question would be answered with that.
    const rebinding: Resolve = () =>
      Promise.resolve([{ address: asked++ === 0 ? '192.0.0.8' : '127.0.0.1', family: 4 }]);
    expect(await failure(importing({ uri, sources: { hosts }, resolve: rebinding }))).toMatchObject({
      code: 'invalid_parameter',
    });
    const mixed: Resolve = () =>
      Promise.resolve([
        { address: '1.1.1.1', family: 4 },
        { address: '127.0.0.1', family: 4 },
      ]);
    expect(await failure(importing({ uri, sources: { hosts }, resolve: mixed }))).toMatchObject({
      code: 'invalid_parameter',
    });
    expect(server.requests).toEqual([]);
    const named: Resolve = () => Promise.resolve([{ address: '127.0.0.1', family: 4 }]);
    expect((await importing({ uri, sources: { hosts: [...hosts, '127.0.0.0/8'] }, resolve: named })).created).toBe(
      true,
    );
  });

  it('is asked for where it may be only, and says what is missing there', async () => {
    await publish();
    for (const uri of [
      'https://files.example.com/p/sibyl.json',
      `http://localhost:${server.port}/p/sibyl.json`,
      `${server.url}/p/`,
      `${server.url}/p/model.tar.gz`,
      'http://',
      'http:///p/%zz.onnx',
    ]) {
      expect(await failure(importing({ uri, sources: { hosts: [server.host, 'x.example'] } }))).toMatchObject({
        code: 'invalid_parameter',
      });
    }
    expect(server.requests).toEqual([]);
    expect(await failure(importing({ uri: `${server.url}/nothing/sibyl.json` }))).toMatchObject({
      code: 'invalid_parameter',
    });
    server.files.delete('/p/model.onnx');
    expect(await failure(importing())).toMatchObject({ code: 'model_rejected', faults: [{ pointer: '/model.onnx' }] });
    const down = `http://127.0.0.1:1/p/sibyl.json`;
    expect(await failure(importing({ uri: down, sources: { hosts: ['127.0.0.1'] } }))).toMatchObject({
      code: 'source_unavailable',
    });
  });

  it('takes the page that some servers answer everything with for what it is', async () => {
    const name = await publish();
    const page = (_request: unknown, response: ServerResponse): void =>
      void response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end('<html>');
    for (const file of ['tokenizer.json', 'README.md', 'config.json']) server.handlers.set(`/p/${file}`, page);
    const { version } = await importing();
    expect(version).toMatchObject({ model: name });
    expect(version.files).toHaveLength(3);
  });

  it('contradicts the request before its model is fetched', async () => {
    await publish();
    expect(await failure(importing({ name: 'other' }))).toMatchObject({ code: 'manifest_mismatch' });
    expect(server.asked('/p/model.onnx')).toBe(0);
  });

  it('leaves nothing when the database goes in the middle, and comes whole when it is back', async () => {
    const name = await publish();
    at.runtime.before = () => {
      throw new DomainError('database_unavailable', 'Gone.');
    };
    expect(await failure(importing())).toMatchObject({ code: 'database_unavailable' });
    at.runtime.before = undefined;
    expect((await importing()).version).toMatchObject({ model: name, status: 'validated' });
  });

  it('is registered at the start once, and given production', async () => {
    const name = await publish();
    const sourceOptions = Object.assign(new SourceOptions(), { hosts: [server.host], ...QUICK });
    const start = () =>
      at.another({}, { sourceOptions }).registerAtStart(ALICE, [`${server.url}/p/sibyl.json`], at.record);
    expect(await start()).toMatchObject([{ outcome: 'created', model: name }]);
    const asked = server.requests.length;
    expect(await start()).toMatchObject([{ outcome: 'present', model: name, version: '1.0.0' }]);
    expect(server.requests).toHaveLength(asked);
    expect((await at.registry.find(name, 'production')).version).toBe('1.0.0');
  });
});
