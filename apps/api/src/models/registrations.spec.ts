import type { RecordChange } from '@sibyl/audit';
import type { Gate, Principal } from '@sibyl/auth';
import { DomainError } from '@sibyl/kernel';
import type { ModelRegistry, ModelVersion } from '@sibyl/registry';
import type { EntityManager } from 'typeorm';
import { PackageUpload } from '../http/package-upload';
import { RequestContext } from '../http/request-context';
import type { LongWork } from '../operations/long-work';
import { OperationCancelled } from '../operations/operations';
import type { Reply } from '../operations/reply';
import { ModelLookup } from './model-lookup';
import { preconditionOf } from './precondition';
import { Registrations, type ModelCall } from './registrations';
import type { Serving } from './serving';
import type { Uploads } from './uploads';

const VERSION = {
  model: 'churn',
  version: '1.0.0',
  revision: 2,
  status: 'validated',
  manifest: { metrics: {}, document: {} },
  signature: { inputs: [], outputs: [] },
  onnx: {},
  report: { passed: true },
  aliases: [],
  approvals: [],
  registeredBy: {},
  changedBy: {},
} as unknown as ModelVersion;

/** Whom to tell how far it is goes with every call. */
const without = (asked: object, member: string): object =>
  Object.fromEntries(Object.entries(asked).filter(([name]) => name !== member));

function parts(validated = Promise.resolve()) {
  const asked: unknown[] = [];
  const recorded: unknown[] = [];
  const registry = {
    registerFolder: async (_actor: unknown, folder: string, expect_: object, record: RecordChange) => {
      asked.push({ folder, ...without(expect_, 'call') });
      await validated;
      await record({} as EntityManager, { action: 'model.register', resource: { type: 'model_version', id: 'x' } });
      return { version: VERSION, created: true };
    },
    importUri: (_actor: unknown, request: object) =>
      Promise.resolve(asked.push(without(request, 'call'))).then(() => ({ version: VERSION, created: false })),
    find: (name: string, version: string) =>
      version === '1.0.0' || version === 'production'
        ? Promise.resolve(VERSION)
        : Promise.reject(new DomainError('version_not_found', name)),
  };
  const serving = {
    load: (model: string, version: string) =>
      Promise.resolve({ model, version, loaded: true, ready: true, state: 'ready' }),
  };
  const gate = {
    authorize: (_principal: unknown, _scope: string, model: string) => {
      if (model === 'secret') throw new DomainError('model_forbidden', 'x');
    },
  };
  const abort = new AbortController();
  const work = {
    run: (_call: unknown, kind: string, job: (signal: AbortSignal, id: string) => Promise<Reply>) => (
      asked.push(kind),
      job(abort.signal, 'o-1')
    ),
  };
  const registrations = new Registrations(
    registry as unknown as ModelRegistry,
    serving as unknown as Serving,
    gate as unknown as Gate,
    work as unknown as LongWork,
    {} as Uploads,
  );
  const context = new RequestContext({ requestId: 'r', ip: '', startedAt: 0, occurredAtMs: 0 });
  const call: ModelCall = {
    caller: { actor: { type: 'key', id: 'k', name: 'n' } } as unknown as Principal,
    record: ((_tx, change) => Promise.resolve(void recorded.push(change.action))) as RecordChange,
    call: { context, respondAsync: false },
  };
  return { registrations, asked, recorded, call, abort, work };
}

describe('a registration', () => {
  it('of an upload answers 201 with where the version is, and gives the files back', async () => {
    const { registrations, asked, call } = parts();
    let discarded = 0;
    const upload = new PackageUpload('/tmp/u', () => Promise.resolve(void discarded++));
    const reply = await registrations.register(call, 'churn', { version: '1.0.0' }, upload);
    expect(reply).toMatchObject({ status: 201, headers: { Location: '/v1/models/churn/versions/1.0.0', ETag: '"2"' } });
    expect(asked).toEqual(['model.register', { folder: '/tmp/u', name: 'churn', version: '1.0.0' }]);
    expect([upload.claimed, discarded]).toEqual([true, 1]);
  });

  it('that is cancelled while it is validated commits nothing, and gives the files back', async () => {
    let validate: () => void = () => undefined;
    const { registrations, recorded, call, abort } = parts(new Promise((resolve) => (validate = resolve)));
    let discarded = 0;
    const upload = new PackageUpload('/tmp/u', () => Promise.resolve(void discarded++));
    const reply = registrations.register(call, 'churn', {}, upload);
    abort.abort(new OperationCancelled());
    validate();
    await expect(reply).rejects.toThrow(OperationCancelled);
    expect([recorded, discarded]).toEqual([[], 1]);
  });

  it('that finds no room leaves the upload to its request', async () => {
    const { registrations, call, work } = parts();
    work.run = () => Promise.reject(new DomainError('queue_full', 'x'));
    const upload = new PackageUpload('/tmp/u', () => Promise.resolve());
    await expect(registrations.register(call, 'churn', {}, upload)).rejects.toMatchObject({ code: 'queue_full' });
    expect(upload.claimed).toBe(false);
  });

  it.each([
    ['h/1', {}, '/name', 'h/1'],
    ['churn', { version: 'latest' }, '/version', 'latest'],
    ['churn', { version: 'Production', source_uri: 'x' }, '/version', 'Production'],
  ])('under %s %j is refused with what was received', (name, body, pointer, received) => {
    const { registrations, asked, call } = parts();
    const upload = 'source_uri' in body ? undefined : new PackageUpload('/tmp/u', () => Promise.resolve());
    let refused: unknown;
    try {
      void registrations.register(call, name, body, upload);
    } catch (error) {
      refused = error;
    }
    expect(refused).toMatchObject({ code: 'invalid_parameter', faults: [{ pointer, received }] });
    expect([asked, upload?.claimed ?? false]).toEqual([[], false]);
  });

  it('of known bytes answers 200', async () => {
    const { registrations, asked, call } = parts();
    expect((await registrations.register(call, 'churn', { source_uri: 'file:///x' }, undefined)).status).toBe(200);
    expect(asked).toEqual(['model.register', { uri: 'file:///x', pointer: '/source_uri', name: 'churn' }]);
  });

  it.each([
    ['neither files nor a URI', undefined, {}],
    ['both', new PackageUpload('/tmp/u', () => Promise.resolve()), { source_uri: 'file:///x' }],
  ])('of %s is refused', (_name, upload, body) => {
    const { registrations, call } = parts();
    expect(() => registrations.register(call, 'churn', body, upload)).toThrow('multipart/form-data, or source_uri');
    expect(upload?.claimed ?? false).toBe(false);
  });
});

describe('a load', () => {
  it.each(['1.0.0', 'production'])('of %s loads the exact version', async (version) => {
    const { registrations, call } = parts();
    const reply = await registrations.load(call, { model_id: 'churn', version });
    expect(reply).toMatchObject({ status: 200, body: { name: 'churn', version: '1.0.0', loaded: true } });
    expect(call.call.context.model).toEqual({ name: 'churn', version });
  });

  it('of an unknown version registers it first, if its place is given', async () => {
    const { registrations, asked, call } = parts();
    await registrations.load(call, { model_id: 'churn', version: '9', registry_uri: 'x' });
    expect(asked).toEqual(['model.load', { uri: 'x', pointer: '/registry_uri', name: 'churn', version: '9' }]);
    await expect(registrations.load(call, { model_id: 'churn', version: '9' })).rejects.toMatchObject({
      code: 'version_not_found',
    });
  });

  it('leaves the request its own event when it registers first', async () => {
    const { registrations, call } = parts();
    await registrations.load(call, { model_id: 'churn', version: '9', registry_uri: 'x' });
    expect(call.call.context.recordChangesUnder('r')).toBe('o-1');
  });

  it('names what cannot be registered', async () => {
    const { registrations, call } = parts();
    await expect(
      registrations.load(call, { model_id: 'churn', version: 'latest', registry_uri: 'x' }),
    ).rejects.toMatchObject({ code: 'invalid_parameter', faults: [{ pointer: '/version', received: 'latest' }] });
  });

  it('that was cancelled is not begun', async () => {
    const { registrations, call, abort } = parts();
    abort.abort(new OperationCancelled());
    await expect(registrations.load(call, { model_id: 'churn', version: '1.0.0' })).rejects.toThrow(OperationCancelled);
  });

  it('is refused for a model that the key may not use', () => {
    const { registrations, call } = parts();
    expect(() => registrations.load(call, { model_id: 'secret', version: '1' })).toThrow(DomainError);
  });
});

describe('the lookup of models', () => {
  const versions = (...of: Partial<ModelVersion>[]): ModelVersion[] =>
    of.map((changes) => ({ ...VERSION, ...changes }));
  function lookup(found: ModelVersion[], listed: object[] = []): ModelLookup {
    const catalog = {
      versions: () => Promise.resolve(found),
      find: (_model: string, version: string) => Promise.resolve({ ...VERSION, version }),
      list: (filter: object) => Promise.resolve(listed.push(filter)).then(() => ({ items: found })),
    };
    const serving = {
      statuses: () => [{ model: 'churn', version: '1', loaded: true }],
      status: (_m: string, version: string) => ({ loaded: version === '1' }),
    };
    return new ModelLookup({ catalog } as unknown as ModelRegistry, serving as unknown as Serving);
  }

  it.each([
    ['production', versions({ version: '1', aliases: ['production'] }, { version: '2' }), '1'],
    [
      'else the servable one that arrived last',
      versions({ version: '1' }, { version: '2' }, { version: '3', status: 'rejected' }),
      '2',
    ],
    [
      'else the one that passed its last validation',
      versions({ version: '1' }, { version: '2', report: { passed: false } as NonNullable<ModelVersion['report']> }),
      '1',
    ],
    ['else the last of all', versions({ version: '1', status: 'rejected' }, { version: '2', status: 'archived' }), '2'],
  ])('means %s', async (_name, found, version) => {
    await expect(lookup(found).find('churn', undefined)).resolves.toMatchObject({ version });
  });

  it('takes a named version at its word', async () => {
    await expect(lookup([]).find('churn', '7')).resolves.toMatchObject({ version: '7' });
  });

  it('lists no more than a key may see', async () => {
    const listed: { accepts?: (model: string) => boolean; among?: unknown }[] = [];
    const models = lookup(versions({ version: '1' }, { version: '2' }), listed);
    await models.list({ scopes: ['models:read'], models: ['churn'] } as unknown as Principal, {
      loaded: 'true',
      name: 'churn',
      limit: 5,
      cursor: 'c',
    });
    expect(['churn', 'secret'].map((model) => listed[0]?.accepts?.(model))).toEqual([true, false]);
    expect(listed[0]?.among).toEqual([expect.objectContaining({ version: '1' })]);
    const away = await models.list({} as unknown as Principal, { loaded: 'false' });
    expect(away.items.map(({ version }) => version)).toEqual(['2']);
  });
});

describe('the preconditions of a change', () => {
  it('are those headers that came', () => {
    expect(preconditionOf({ 'if-match': '"1"' })).toEqual({ ifMatch: '"1"' });
    expect(preconditionOf({ 'if-none-match': '*' })).toEqual({ ifNoneMatch: '*' });
    expect(preconditionOf({})).toEqual({});
  });
});
