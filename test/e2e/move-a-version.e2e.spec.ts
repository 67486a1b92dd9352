import fs from 'node:fs';
import path from 'node:path';
import { linearModel } from '@sibyl/onnx/testing';
import { modelPackage } from '../support/model-packages';
import { RecordedClient, type Reply } from '../support/recorded-client';
import { startServer, type TestServer } from '../support/server.mjs';

const TYPE = 'application/vnd.sibyl.version';
const MODEL = linearModel({ weights: [[0]], bias: [7] });

describe('moving a version to another installation', () => {
  let from: TestServer;
  let to: TestServer;
  let here: RecordedClient;
  let there: RecordedClient;
  let file: Buffer;
  let recordSha256: string;

  beforeAll(async () => {
    [from, to] = await Promise.all([
      startServer({ env: { SIBYL_MODELS: '' } }),
      startServer({ env: { SIBYL_MODELS: '' } }),
    ]);
    here = new RecordedClient(from, 'from');
    there = new RecordedClient(to, 'to');
    await here.upload('steps', modelPackage(MODEL, { name: 'steps', version: '1', task: 'regression' }));
    await here.promote('steps', 'production', '1', 'approved by the board');
  }, 120_000);
  afterAll(() => Promise.all([from.stop(), to.stop()]), 30_000);

  const bring = (bytes: Buffer, model = 'steps', headers = {}): Promise<Reply> =>
    there.call('POST', `/v1/models/${model}/versions`, { headers: { 'content-type': TYPE, ...headers }, body: bytes });

  it('takes it out as one file, with an event that names its record', async () => {
    const answer = await fetch(`${from.url}/v1/models/steps/versions/1/export`, {
      headers: { 'x-api-key': from.adminKey, 'x-request-id': 'export-1' },
    });
    file = Buffer.from(await answer.arrayBuffer());
    recordSha256 = answer.headers.get('x-record-sha256') ?? '';
    expect([answer.status, answer.headers.get('content-type')]).toEqual([200, TYPE]);
    expect(answer.headers.get('content-length')).toBe(String(file.length));
    expect(answer.headers.get('content-disposition')).toBe('attachment; filename="steps-1.sibyl"');
    const events = await here.events('request_id=export-1');
    expect(events).toMatchObject([{ action: 'model.export', status: 200, changes: { record_sha256: recordSha256 } }]);
  });

  it('holds what the audit log of its origin can prove', async () => {
    const header = JSON.parse(file.toString('utf8', 48, 48 + file.readUInt32LE(12)));
    expect(header.record).toMatchObject({
      alias_history: [{ alias: 'production', reason: 'approved by the board' }],
      audit: {
        events: [{ action: 'model.register' }, { action: 'model.promote' }],
        events_count: 2,
        heads: expect.any(Array),
      },
    });
    const [event] = header.record.audit.events;
    expect((await here.get(`/v1/audit/events/${event.id}`)).body).toMatchObject({ chain: event.chain, seq: event.seq });
  });

  it.each([
    ['steps', 'nothing', () => Buffer.alloc(0), 422, 'model_rejected'],
    ['steps', 'a ZIP archive', () => Buffer.from('PK\x03\x04 and more'), 422, 'model_rejected'],
    ['steps', 'a part of it', () => file.subarray(0, file.length - 1), 422, 'model_rejected'],
    ['strides', 'another model', () => file, 422, 'manifest_mismatch'],
  ])('as %s refuses %s', async (model, _, bytes, status, code) => {
    expect(await bring(bytes(), model)).toMatchObject({ status, body: { code } });
    expect(fs.readdirSync(path.join(to.dataDir, 'artifacts/uploads'))).toEqual([]);
  });

  it('registers it there by its own validation, and its event names the same record', async () => {
    const reply = await bring(file);
    expect(reply).toMatchObject({ status: 201, body: { version: '1', status: 'validated', report: { passed: true } } });
    const [event] = await there.events('action=model.register&outcome=succeeded');
    expect(event).toMatchObject({ changes: { origin: { record_sha256: recordSha256 } } });
    const answer = await there.post('/models/steps/predict', { features: { features: 0 }, model_version: '1' });
    expect(answer.body.prediction).toEqual({ value: 7 });
    expect((await bring(file)).status).toBe(200);
  });

  it('takes it as a part of a form, and from an import folder', async () => {
    const form = new Map([['steps-1.sibyl', file]]);
    expect(await there.upload('steps', form)).toMatchObject({ status: 200, body: { version: '1' } });
    const imports = path.join(to.dataDir, 'import');
    fs.mkdirSync(imports, { recursive: true });
    fs.writeFileSync(path.join(imports, 'steps-1.sibyl'), file);
    fs.writeFileSync(path.join(imports, 'beside.txt'), '');
    const reply = await there.post('/v1/models/steps/versions', { source_uri: path.join(imports, 'steps-1.sibyl') });
    expect(reply).toMatchObject({ status: 200, body: { version: '1' } });
  });

  it('exports for no key that may only read', async () => {
    const team = await here.post('/v1/keys', { name: 'team', role: 'team' });
    const reply = await here.get('/v1/models/steps/versions/1/export', { key: team.body.key });
    expect(reply).toMatchObject({ status: 403, body: { code: 'scope_missing' } });
    expect((await here.get('/v1/models/steps/versions/9/export')).body.code).toBe('version_not_found');
  });

  describe('and deleting it', () => {
    const remove = (client: RecordedClient, version: string) =>
      client.call('DELETE', `/v1/models/steps/versions/${version}`, { body: { reason: 'moved' } });

    it('is refused where an alias points at it or it has answered of late', async () => {
      expect(await remove(here, '1')).toMatchObject({ status: 409, body: { code: 'in_use' } });
      const reply = await remove(there, '1');
      expect(reply).toMatchObject({ status: 409, body: { code: 'in_use' } });
      expect(reply.body.detail).toContain('its last prediction was recorded at');
    });

    it('takes its bytes, keeps its row, and is one event', async () => {
      await here.upload(
        'steps',
        modelPackage(linearModel({ weights: [[0]], bias: [8] }), { name: 'steps', version: '2' }),
      );
      const before = fs.readdirSync(path.join(from.dataDir, 'artifacts/packages')).length;
      expect(await remove(here, '2')).toMatchObject({
        status: 200,
        body: { status: 'archived', deletion: { reason: 'moved', actor: { type: 'key' } } },
      });
      expect(fs.readdirSync(path.join(from.dataDir, 'artifacts/packages'))).toHaveLength(before - 1);
      expect(await here.lastEvent()).toMatchObject({ action: 'model.delete', status: 200, reason: 'moved' });
      expect((await here.get('/v1/models/steps/versions/2')).body.deletion.reason).toBe('moved');
      const asked = { features: { features: 0 }, model_version: '2' };
      expect((await here.post('/models/steps/predict', asked)).body.code).toBe('version_not_servable');
      expect((await here.get('/v1/models/steps/versions/2/export')).body.code).toBe('version_not_servable');
    });
  });

  it.each([
    ['3', {}],
    ['4', { body: {} }],
  ])('and needs no reason to be deleted: version %s, %j', async (version, request) => {
    const model = linearModel({ weights: [[0]], bias: [Number(version) + 10] });
    await here.upload('steps', modelPackage(model, { name: 'steps', version }));
    const reply = await here.call('DELETE', `/v1/models/steps/versions/${version}`, request);
    expect(reply).toMatchObject({ status: 200, body: { deletion: { reason: 'deleted on request' } } });
    expect(await here.lastEvent()).toMatchObject({ action: 'model.delete', reason: 'deleted on request' });
  });

  it('has one event for every request', async () => {
    expect(await here.unrecorded()).toEqual([]);
    expect(await there.unrecorded()).toEqual([]);
  });
});
